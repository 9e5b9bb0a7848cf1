"""How well a host or guest is kept, as people see it."""

from dataclasses import dataclass, field
from typing import Literal

#: ``unknown``: nobody has looked, or not for long; then nothing is said of how it is now.
UpkeepState = Literal["up_to_date", "pending", "unknown"]
Support = Literal["supported", "ending", "ended", "rolling", "unknown"]


@dataclass(frozen=True, kw_only=True)
class UpkeepRow:
    """One target; ``pending`` and ``security`` count packages, None where nobody can say."""

    #: ``host``, ``lxc:<vmid>`` or ``qemu:<vmid>``.
    target: str
    name: str
    node: str
    vmid: int | None
    guest_id: str | None
    agent_id: str | None
    cluster_name: str | None
    state: UpkeepState
    #: Why it is unknown, or what went wrong at the last look.
    why: str
    pending: int | None
    security: int | None
    #: Packages that could be upgraded and are held, phased, excluded or kept back.
    left: int | None
    restart_required: bool | None
    restart_why: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    system: str = ""
    support: Support = "unknown"
    #: The last day with fixes, where one is known.
    supported_until: str = ""
    looked_at: str | None = None
    age_seconds: int | None = None
    operation_id: str | None = None
