"""What may be asked of a machine about the removal of snapshots: begin once, look, forget."""

from dataclasses import dataclass, field
from enum import StrEnum

from nanny_ops.protocol.prune import Doomed, Removal


class PrunePhase(StrEnum):
    """Where a removal stands, as its folder tells."""

    ABSENT = "absent"
    RUNNING = "running"
    #: Its result is there.
    DONE = "done"
    #: It was begun, nobody carries it out, and enough have been tried.
    LOST = "lost"


@dataclass(frozen=True, kw_only=True)
class PruneOrder:
    """Some snapshots of one guest, the oldest first; ``kind`` is ``lxc`` or ``qemu``."""

    prune_id: str
    kind: str
    vmid: int
    snapshots: list[Doomed]
    #: Seconds after which no further removal is begun.
    timeout_seconds: int
    claim: str = ""


@dataclass(frozen=True, kw_only=True)
class StartPrune:
    """Ask for a removal to be begun outside the caller's process; asking twice begins it once."""

    order: PruneOrder


@dataclass(frozen=True, kw_only=True)
class LookPrune:
    """Ask where a removal stands; one whose process was killed is taken up again, since it may be repeated."""

    prune_id: str


@dataclass(frozen=True, kw_only=True)
class ForgetPrune:
    """Ask for what is kept of a removal to be dropped; its result has been delivered."""

    prune_id: str


@dataclass(frozen=True, kw_only=True)
class PruneState:
    """The answer; ``outcome`` is a word of protocol.operation.Outcome once it is done."""

    prune_id: str
    phase: PrunePhase = PrunePhase.ABSENT
    outcome: str = ""
    reason: str = ""
    removals: list[Removal] = field(default_factory=list)
    begun_at: str = ""
    claim: str = ""


PruneVerb = StartPrune | LookPrune | ForgetPrune
