"""Everything that can be managed, as an inventory wants it: hosts with an agent, and their guests."""

from dataclasses import dataclass, field
from typing import Any, Literal

from nanny_ops.protocol.upkeep import UpkeepState

#: Rows of one answer, unless asked for and at most: a thousand guests and their hosts are one request.
USUAL, MOST = 1000, 2000
HostKind = Literal["host", "lxc", "qemu"]


@dataclass(frozen=True, kw_only=True)
class HostRow:
    """One host or guest; what is not known is None or empty."""

    kind: HostKind
    #: ``host``, ``lxc:<vmid>`` or ``qemu:<vmid>``, as orders name it.
    target: str
    name: str
    #: Who carries out an order for it; None where no agent runs on its node.
    agent_id: str | None
    vmid: int | None
    guest_id: str | None
    node: str
    cluster: str
    #: ``running``, ``stopped`` ... or ``unknown``; a host is ``healthy``, ``stale``, ``offline`` or ``unknown``.
    status: str
    tags: list[str]
    pool: str
    template: bool
    #: What it runs, as the word by which scripts are chosen: ``debian``, ``alpine`` ...
    os: str
    #: An address at which it is reached, as it told itself; the first of several.
    address: str
    upkeep: UpkeepState
    pending: int | None
    security: int | None
    restart_required: bool | None
    #: Everything else that was told of it.
    facts: dict[str, Any] = field(default_factory=dict)
