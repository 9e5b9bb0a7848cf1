"""What has happened in the fleet, as people see it."""

from typing import Any

from nanny_ops.control.services.change import subject
from nanny_ops.control.services.principal import Person
from nanny_ops.control.services.realtime import REPLAY, Missed, Replay
from nanny_ops.control.store import event as store
from nanny_ops.control.store.database import Tx
from nanny_ops.protocol.realtime import Gap


def page(
    tx: Tx, who: Person, limit: int, offset: int, kind: str, about: str, behind: int
) -> tuple[list[dict[str, Any]], int]:
    """Return a page of what happened in a person's teams, newest first, and how many there are."""
    subjects = [subject(team) for team in who.teams]
    found, total = store.page(tx, subjects, limit, offset, kind=kind, about=about, behind=behind)
    return [{"seq": one.seq, **one.payload["record"]} for one in found], total


def missed(tx: Tx, who: Person, last_seen: int | None) -> Replay:
    """Return what a listener has missed behind ``last_seen``; without it, nothing. Too much, or what is lost, is a gap.

    There is no present state to send instead: whoever hears of a gap looks at the lists.
    """
    upto = store.last_seq(tx)
    if last_seen is None:
        return Replay([], upto)
    subjects = [subject(team) for team in who.teams]
    if store.first_seq(tx) - 1 <= last_seen <= upto:
        found = store.after(tx, last_seen, REPLAY + 1, subjects=subjects)
        if len(found) <= REPLAY:
            return Replay([Missed(event.seq, event.payload) for event in found], upto)
    return Replay([], upto, Gap(last_seen=last_seen, resumes_after=upto))
