"""The dialect of the agents that were in the field before the guide: what they send where the guide has other words."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen

from nanny_ops.protocol.metrics import Amount, Percent, Text

#: What an agent speaks: the guide, or what NannyAgent speaks.
Dialect = Literal["guide", "nannyagent"]
GUIDE: Dialect = "guide"
NANNYAGENT: Dialect = "nannyagent"
#: What an answer to a poll must contain; with anything else these agents give up.
PENDING = "device not authorized yet"
#: Bytes in one of their gigabytes; they round to the hundredth.
GIGABYTE = 2**30

Gigabytes = Annotated[float, Ge(0), Le(2**33 - 1)]
Address = Annotated[str, MaxLen(64)]


@dataclass(frozen=True, kw_only=True)
class LegacyFilesystem:
    """One mounted file system; ``device`` is empty in practice."""

    mount_path: Annotated[str, MaxLen(4096)]
    total_gb: Gigabytes
    used_gb: Gigabytes
    free_gb: Gigabytes
    usage_percent: Percent
    device: Text = ""


@dataclass(frozen=True, kw_only=True)
class LegacyLoad:
    """The load of the last minutes."""

    one_min: Amount = 0.0
    five_min: Amount = 0.0
    fifteen_min: Amount = 0.0


@dataclass(frozen=True, kw_only=True)
class LegacyNetwork:
    """Traffic since boot; both are 0 unless both are known."""

    in_gb: Amount = 0.0
    out_gb: Amount = 0.0


@dataclass(frozen=True, kw_only=True)
class LegacySystem:
    """What was measured; percent of 100."""

    cpu_percent: Percent
    cpu_cores: Annotated[int, Ge(0), Le(65536)]
    memory_used_gb: Gigabytes
    memory_total_gb: Gigabytes
    memory_percent: Percent = 0.0
    disk_used_gb: Gigabytes
    disk_total_gb: Gigabytes
    disk_usage_percent: Percent
    filesystems: Annotated[list[LegacyFilesystem], MaxLen(1024)] = field(default_factory=list)
    load_average: LegacyLoad = field(default_factory=LegacyLoad)
    network_stats: LegacyNetwork = field(default_factory=LegacyNetwork)
    kernel_version: Text = ""


@dataclass(frozen=True, kw_only=True)
class LegacyMetrics:
    """One reading of a host, without an instant and without the host's name."""

    action: Literal["ingest-metrics"] = "ingest-metrics"
    system_metrics: LegacySystem
    os_info: Text = ""
    os_version: Text = ""
    os_type: Text = ""
    platform_family: Text = ""
    version: Text = ""
    primary_ip: Address = ""
    kernel_version: Text = ""
    arch: Text = ""
    all_ips: Annotated[list[Address], MaxLen(256)] = field(default_factory=list)
