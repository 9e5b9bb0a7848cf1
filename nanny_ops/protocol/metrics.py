"""What an agent says of its host every thirty seconds."""

from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Le, MaxLen, MinLen

from nanny_ops.protocol.feature import Features
from nanny_ops.protocol.policy import PolicyReport

Text = Annotated[str, MaxLen(255)]
Bytes = Annotated[int, Ge(0), Le(2**63 - 1)]
Percent = Annotated[float, Ge(0), Le(100)]
Amount = Annotated[float, Ge(0)]


@dataclass(frozen=True, kw_only=True)
class Filesystem:
    """One mounted file system; sizes in bytes, usage in percent of what a user can reach."""

    device: Text
    mountpoint: Annotated[str, MaxLen(4096)]
    type: Text
    fstype: Text
    total: Bytes
    used: Bytes
    free: Bytes
    usage: Percent
    usage_percent: Percent


@dataclass(frozen=True, kw_only=True)
class BlockDevice:
    """One block device; size in bytes."""

    name: Text
    size: Bytes
    type: Text
    model: Text = ""
    serial_number: Text = ""


@dataclass(frozen=True, kw_only=True)
class SystemMetrics:
    """One reading of a host.

    ``memory_usage`` is MiB in use; ``memory_*``, ``swap_*`` and ``disk_*`` are bytes; ``cpu_usage`` and ``disk_usage``
    are percent; ``network_*_gb`` are gigabytes (10^9) since boot, all interfaces but loopback.
    """

    agent_id: Annotated[str, MinLen(1), MaxLen(64)]
    timestamp: Annotated[str, MinLen(1), MaxLen(64)]
    hostname: Text
    platform: Text = ""
    platform_family: Text = ""
    platform_version: Text = ""
    kernel_version: Text = ""
    kernel_arch: Text = ""
    os: Text = "linux"
    cpu_usage: Percent
    cpu_cores: Annotated[int, Ge(0), Le(65536)]
    cpu_model: Text = ""
    memory_usage: Amount
    memory_total: Bytes
    memory_used: Bytes
    memory_free: Bytes
    memory_available: Bytes
    swap_total: Bytes = 0
    swap_used: Bytes = 0
    swap_free: Bytes = 0
    disk_usage: Percent
    disk_total: Bytes
    disk_used: Bytes
    disk_free: Bytes
    network_in_gb: Amount = 0.0
    network_out_gb: Amount = 0.0
    load_avg_1: Amount = 0.0
    load_avg_5: Amount = 0.0
    load_avg_15: Amount = 0.0
    process_count: Annotated[int, Ge(0), Le(2**31)] = 0
    ip_address: Annotated[str, MaxLen(64)] = ""
    all_ips: Annotated[list[Annotated[str, MaxLen(64)]], MaxLen(256)] = field(default_factory=list)
    location: Text = "unknown"
    filesystem_info: Annotated[list[Filesystem], MaxLen(1024)] = field(default_factory=list)
    block_devices: Annotated[list[BlockDevice], MaxLen(1024)] = field(default_factory=list)
    #: Version of the agent, and what it can do; beside the guide's fields.
    version: Text = ""
    features: Features = field(default_factory=list)
    #: What the machine's owner allows, told with every tenth reading; None says nothing of it.
    policy: PolicyReport | None = None


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The answer to every ingest."""

    success: bool = True
    message: str = ""
