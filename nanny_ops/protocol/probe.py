"""What must be true of a target for it to count as healthy, after a change and after a rollback."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen

ProbeKind = Literal["unit", "tcp", "http", "command", "load", "services"]
#: Seconds one look may take, and most probes of one target.
LONGEST_LOOK, MOST_PROBES = 600, 64


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One thing to look at; only the fields of its kind count.

    ``unit``: the systemd unit ``unit`` is active in the target. ``tcp``: ``port`` accepts a connection. ``http``:
    ``url`` (or ``port`` and ``path``) answers ``status`` (0: any below 400) with ``body`` in what it says.
    ``command``: ``argv`` ends with 0 in the target. ``load``: the load of one minute per CPU is at most ``most``.
    ``services``: whatever systemd service ran before the change runs after it.
    """

    kind: ProbeKind
    unit: Annotated[str, MaxLen(255)] = ""
    #: Address to connect to; empty is the target itself, reached from inside it.
    host: Annotated[str, MaxLen(255)] = ""
    port: Annotated[int, Ge(0), Le(65535)] = 0
    url: Annotated[str, MaxLen(2048)] = ""
    path: Annotated[str, MaxLen(2048)] = "/"
    status: Annotated[int, Ge(0), Le(599)] = 0
    body: Annotated[str, MaxLen(1024)] = ""
    argv: Annotated[list[Annotated[str, MaxLen(4096)]], MaxLen(64)] = field(default_factory=list)
    most: Annotated[float, Ge(0), Le(10_000)] = 0.0
    timeout_seconds: Annotated[int, Ge(1), Le(LONGEST_LOOK)] = 10
