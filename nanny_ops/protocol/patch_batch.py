"""Many patch orders at once: which targets are wanted, what was placed, and what was left out and why."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

from nanny_ops.protocol.patch import PatchTerms

Word = Annotated[str, MinLen(1), MaxLen(255)]
Words = Annotated[list[Word], MaxLen(1000)]
Vmid = Annotated[int, Ge(1), Le(999_999_999)]
TargetKind = Literal["host", "lxc", "qemu"]
Updates = Literal["", "security", "any", "unknown"]
#: Why a target that fits was not given an order.
SkipReason = Literal[
    "excluded", "stopped", "unknown", "template", "gone", "no_agent", "unknown_updates", "no_script", "refused"
]


@dataclass(frozen=True, kw_only=True)
class Select:
    """Which targets are wanted: those that fit each field that is given, by any of its words.

    Guests are meant unless ``kinds`` says otherwise, or ``agents`` is given: then the hosts of these agents. ``names``
    are patterns as shells have them (``web*``), ``ranges`` are ``100-199``. ``os`` is a distribution or its family.
    ``updates`` leaves those with security updates, with any, or of which nothing is known.
    """

    kinds: Annotated[list[TargetKind], MaxLen(3)] = field(default_factory=list)
    agents: Words = field(default_factory=list)
    vmids: Annotated[list[Vmid], MaxLen(1000)] = field(default_factory=list)
    ranges: Annotated[list[Annotated[str, MaxLen(32)]], MaxLen(100)] = field(default_factory=list)
    names: Words = field(default_factory=list)
    tags: Words = field(default_factory=list)
    pools: Words = field(default_factory=list)
    nodes: Words = field(default_factory=list)
    clusters: Words = field(default_factory=list)
    os: Words = field(default_factory=list)
    updates: Updates = ""


@dataclass(frozen=True, kw_only=True)
class BatchRequest:
    """What an operator orders of many targets at once; ``dry`` only tells which they would be."""

    order: PatchTerms
    select: Select = field(default_factory=Select)
    #: What fits any field of this is left out.
    exclude: Select = field(default_factory=Select)
    #: All targets of the team's; without it ``select`` must say something.
    all: bool = False
    dry: bool = False
    team_id: Annotated[str, MaxLen(64)] = ""


@dataclass(frozen=True, kw_only=True)
class BatchTarget:
    """One target of a batch and how its order stands; ``operation_id`` is empty in a preview."""

    operation_id: str
    agent_id: str
    target: str
    name: str
    node: str
    status: str = ""
    outcome: str | None = None
    reason: str = ""
    package_count: int | None = None


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """One target that was left out, in a word and in a sentence."""

    target: str
    name: str
    node: str
    why: SkipReason
    reason: str


@dataclass(frozen=True, kw_only=True)
class PatchBatch:
    """A batch as people see it. In a list ``targets`` and ``skipped`` are empty, and the counts tell of them.

    ``summary`` counts orders by outcome, open ones by status. ``waiting`` says why some wait, each sentence once.
    """

    id: str
    dry: bool
    state: Literal["preview", "open", "ended"]
    order: PatchTerms
    select: Select
    exclude: Select
    placed: int
    left_out: int
    summary: dict[str, int]
    waiting: list[str] = field(default_factory=list)
    targets: list[BatchTarget] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    created_by: str = ""
    created_at: str = ""
    cancelled_at: str | None = None
