"""What operations have in common before something begins: an order that is understood, and one that began already."""

from typing import TypeVar

import msgspec

from nanny_ops.agent.order import Desk, Order, Refused, State
from nanny_ops.errors import MachineError, VerbRefused
from nanny_ops.protocol.operation import Outcome, Status

T = TypeVar("T")


def understood(order: Order, record: type[T]) -> T:
    """Return an order as its record. Raises Refused."""
    try:
        return msgspec.convert(order.record, record)
    except msgspec.ValidationError as wrong:
        raise Refused(Outcome.REFUSED, f"The order cannot be understood: {wrong}") from wrong


async def never_begun(order: Order, desk: Desk, lost: str, *, may_run: bool = False) -> None:
    """Refuse, with the sentence ``lost``, what was begun and of which nothing is left here.

    Nobody knows what became of it; ``may_run`` where it may go on elsewhere. Raises Refused, Withdrawn, Deferred.
    """
    begun_here, begun_before = order.state is State.STARTED, order.record.get("status") == Status.RUNNING
    if begun_before and not begun_here:  # by another machine of this name, which may be at it, or from a lost spool
        await desk.begin()
    if begun_here or begun_before:
        raise Refused(Outcome.UNKNOWN, lost, may_run=may_run)


def why_not(wrong: MachineError) -> Outcome:
    """Return the word for what was not begun; who refused it has chosen one."""
    word = wrong.details.get("outcome") if isinstance(wrong, VerbRefused) else None
    return Outcome(word) if word in set(Outcome) else (Outcome.REFUSED if word is not None else Outcome.AGENT_ERROR)
