"""What a listener has missed."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from nanny_ops.control.services import operation as operations
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import event as events
from nanny_ops.control.store.database import Tx
from nanny_ops.protocol.realtime import Gap

#: Events replayed one by one; a listener further behind gets the open operations instead, which is all it can act on.
REPLAY = 500


@dataclass(frozen=True)
class Missed:
    """One event to send again; ``seq`` 0 means a present state rather than an event."""

    seq: int
    payload: dict[str, Any]


@dataclass(frozen=True)
class Replay:
    """Everything to send before live events beyond ``upto``."""

    items: list[Missed]
    upto: int
    #: What to say first when events are lost to the listener; the items are then what is open.
    gap: Gap | None = None


def missed(tx: Tx, agent: HostAgent, topics: Collection[str], last_seen: int | None) -> Replay:
    """Return the events behind ``last_seen``, or, without it, every operation that is still open.

    Events that are not kept any more, or too many, are a gap: the open operations stand for them too.
    """
    upto = events.last_seq(tx)
    if last_seen is not None and events.first_seq(tx) - 1 <= last_seen <= upto:
        found = events.after(tx, last_seen, REPLAY + 1, subject=agent.id)
        if len(found) <= REPLAY:
            return Replay([Missed(event.seq, event.payload) for event in found if event.topic in topics], upto)
    opened = operations.open_for(tx, agent)
    payloads = [{"action": "create", "record": item["record"]} for item in opened if item["topic"] in topics]
    gap = None if last_seen is None else Gap(last_seen=last_seen, resumes_after=upto)
    return Replay([Missed(0, payload) for payload in payloads], upto, gap)
