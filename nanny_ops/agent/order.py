"""An order as the agent holds it, and what it came to."""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from nanny_ops.protocol.operation import GOOD, Kind, Outcome
from nanny_ops.protocol.patch import PackageChange
from nanny_ops.protocol.patch_report import PatchReport
from nanny_ops.protocol.prune import Removal


class State(StrEnum):
    """How far an order has come on this machine."""

    RECEIVED = "received"
    #: The control plane knows that it is here and still wants it.
    ACKED = "acked"
    #: About to begin: its job may or may not be there.
    BEGINNING = "beginning"
    #: Its job was begun; it is never begun again.
    STARTED = "started"
    FINISHED = "finished"
    DELIVERED = "delivered"
    #: The control plane refused the result for good; the reason is kept.
    UNDELIVERABLE = "undeliverable"
    #: Cancelled, expired or withdrawn before it began.
    DROPPED = "dropped"


ENDED = frozenset({State.DELIVERED, State.UNDELIVERABLE, State.DROPPED})


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What an order came to; ``duration`` in milliseconds, ``started_at`` as on the wire."""

    outcome: Outcome
    reason: str = ""
    exit_code: int | None = None
    started_at: str = ""
    finished_at: str = ""
    duration: int = 0
    packages: list[PackageChange] = field(default_factory=list)
    stdout_path: str = ""
    stderr_path: str = ""
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    #: Marks of a target that was to reboot; see :mod:`nanny_ops.machine.life`.
    before: str = ""
    after: str = ""
    report: PatchReport | None = None
    #: Nothing here tells whether what was begun is over: another machine of this name may be at it.
    may_run: bool = False
    #: What has become of snapshots that were to be removed.
    removals: list[Removal] = field(default_factory=list)

    @property
    def success(self) -> bool:
        """Tell whether the order did what it was meant to do."""
        return self.outcome in GOOD


@dataclass(frozen=True, kw_only=True)
class Order:
    """One order: the record as it arrived, and how far it has come."""

    id: str
    kind: Kind
    record: dict[str, Any]
    state: State = State.RECEIVED
    finding: Finding | None = None
    reason: str = ""
    #: What this machine made up before it asked to begin, and the fencing token that it got for it; 0 means none.
    claim: str = ""
    lease: int = 0


class Refused(Exception):
    """The order will not be carried out; the outcome says why."""

    def __init__(self, outcome: Outcome, reason: str, *, may_run: bool = False) -> None:
        """Take the word and the sentence that will be reported, and whether what was begun may go on elsewhere."""
        self.finding = Finding(outcome=outcome, reason=reason, may_run=may_run)
        super().__init__(reason)


class Withdrawn(Exception):
    """The order is no longer wanted and has not begun; nothing is reported."""


class Deferred(Exception):
    """The order is wanted and must wait: another has its target, or its lease."""

    def __init__(self, reason: str, seconds: float) -> None:
        """Take why, and after how many seconds to ask again."""
        self.seconds = seconds
        super().__init__(reason)


class Desk(Protocol):
    """What an operation needs to know and tell while it carries out one order."""

    #: Set once a person has cancelled the order.
    cancelled: asyncio.Event

    #: The order as it stands, with its claim and lease.
    order: "Order"

    async def begin(self) -> None:
        """Ask to begin now, under a claim that is written down first. Raises Withdrawn and Deferred."""

    def adopt(self, claim: str) -> None:
        """Go on under the claim that a job on this machine was begun with, though the spool knows of none."""

    def held(self) -> AbstractAsyncContextManager[None]:
        """Keep the lease alive as long as the block runs; a cancel that is learned meanwhile sets ``cancelled``."""

    async def remark(self, sentence: str) -> None:
        """Tell people something while the order is carried out; empty takes back what was told."""

    def started(self) -> None:
        """Write down that the order has begun and must never begin again."""
