"""The event log: written in the transaction of the change it tells of, read by every stream."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, text

from nanny_ops.control.store.database import Tx, oldest
from nanny_ops.control.store.tables import events

#: PostgreSQL advisory lock that makes the order of commits the order of ``seq``, so that a reader never skips one.
LOG_LOCK = 6_102_025
#: Built once, as each order and each step of one is logged.
ADD = insert(events)
BEHIND = select(events).where(events.c.seq > bindparam("seq")).order_by(events.c.seq).limit(bindparam("most"))


@dataclass(frozen=True)
class Event:
    """One thing that happened; ``subject`` is the agent (or other listener) it concerns."""

    seq: int
    team_id: str
    topic: str
    subject: str
    kind: str
    payload: dict[str, Any]
    at: int


def log(tx: Tx, *, team_id: str, topic: str, subject: str, kind: str, payload: dict[str, Any], at: int) -> None:
    """Append an event; listeners are woken after the commit."""
    if not tx.logged and tx.connection.dialect.name == "postgresql":
        tx.connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOG_LOCK})
    tx.logged = True
    row = {"team_id": team_id, "topic": topic, "subject": subject, "kind": kind, "payload": payload, "at": at}
    tx.connection.execute(ADD, row)


def after(
    tx: Tx, seq: int, limit: int, subject: str | None = None, subjects: Collection[str] | None = None
) -> list[Event]:
    """Return events behind ``seq`` in order, of one subject, of several or of all."""
    query = BEHIND if subject is None else BEHIND.where(events.c.subject == subject)
    if subjects is not None:
        query = query.where(events.c.subject.in_(subjects))
    return [Event(*row) for row in tx.connection.execute(query, {"seq": seq, "most": limit})]


def page(
    tx: Tx, subjects: Collection[str], limit: int, offset: int, *, kind: str = "", about: str = "", behind: int = 0
) -> tuple[list[Event], int]:
    """Return a page of events of these subjects, newest first, and how many there are; ``kind`` may be a beginning.

    ``about`` is the object that a record names.
    """
    chosen = events.c.subject.in_(subjects) & (events.c.seq > behind)
    if kind:
        chosen &= (events.c.kind == kind) | events.c.kind.startswith(f"{kind}.", autoescape=True)
    if about:
        chosen &= events.c.payload["record"]["object"].as_string() == about
    rows = tx.connection.execute(select(events).where(chosen).order_by(events.c.seq.desc()).limit(limit).offset(offset))
    total = tx.connection.execute(select(func.count()).select_from(events).where(chosen)).scalar_one()
    return [Event(**row._mapping) for row in rows], total


def last_seq(tx: Tx) -> int:
    """Return the newest ``seq``, 0 for an empty log."""
    return tx.connection.execute(select(func.max(events.c.seq))).scalar() or 0


def first_seq(tx: Tx) -> int:
    """Return the oldest ``seq`` that is still kept, 0 for an empty log."""
    return tx.connection.execute(select(func.min(events.c.seq))).scalar() or 0


def forget(tx: Tx, before: int) -> int:
    """Drop events older than an instant, a bounded number at once; return how many."""
    return tx.connection.execute(delete(events).where(oldest(events.c.at, before))).rowcount
