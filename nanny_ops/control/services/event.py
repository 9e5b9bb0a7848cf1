"""What has happened in the fleet, as people see it."""

from typing import Any

from nanny_ops.control.services import playbook_run
from nanny_ops.control.services.change import subject
from nanny_ops.control.services.principal import Person
from nanny_ops.control.services.realtime import REPLAY, Missed, Replay
from nanny_ops.control.store import event as store
from nanny_ops.control.store.database import Tx
from nanny_ops.protocol.realtime import Gap

#: Events of one run, which are bounded where it is carried out.
WHOLE_RUN = 10_000


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


def of_run(tx: Tx, run_id: str, limit: int, offset: int, behind: int) -> tuple[list[dict[str, Any]], int]:
    """Return a page of what happened in a run of a playbook, oldest first, and how many there are."""
    subject_ = playbook_run.subject(run_id)
    found = store.after(tx, behind, offset + limit, subject=subject_)[offset:]
    total = store.page(tx, [subject_], 0, 0, behind=behind)[1]
    return [{"seq": one.seq, **one.payload["record"]} for one in found], total


def missed_of_run(tx: Tx, run_id: str, last_seen: int | None) -> Replay:
    """Return what a listener to a run has missed; one that has seen nothing gets all of it. What is lost is a gap."""
    upto = store.last_seq(tx)
    found = store.after(tx, last_seen or 0, WHOLE_RUN, subject=playbook_run.subject(run_id))
    lost = last_seen is not None and not store.first_seq(tx) - 1 <= last_seen <= upto
    gap = Gap(last_seen=last_seen or 0, resumes_after=upto) if lost else None
    return Replay([Missed(event.seq, event.payload) for event in found], upto, gap)
