"""Usage as it was told, a row per reading of many objects; and rolled up, a row per object and day."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Table, and_, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from nanny_ops.control.store.database import DROPPED_AT_ONCE, Tx, oldest
from nanny_ops.control.store.proxmox_tables import usage, usage_days, usage_progress

#: One hour in microseconds: what is rolled up at once.
HOUR = 3_600_000_000


@dataclass(frozen=True)
class Raw:
    """One packed reading."""

    scope: str
    at: int
    agent_id: str
    part: int
    team_id: str
    body: bytes


@dataclass(frozen=True)
class Day:
    """One object's packed day; ``day`` counts from 1970."""

    scope: str
    object: str
    day: int
    team_id: str
    body: bytes


@dataclass(frozen=True)
class Progress:
    """Up to where a scope's readings are rolled up."""

    scope: str
    team_id: str
    done_until: int


def add(tx: Tx, row: Raw) -> None:
    """Write a reading, unless it is there; have its hour rolled up, again if that was done before."""
    made = _insert(tx)
    tx.connection.execute(made(usage).on_conflict_do_nothing().values(**vars(row)))
    hour = row.at - row.at % HOUR
    begun = made(usage_progress).values(scope=row.scope, team_id=row.team_id, done_until=hour)
    later = usage_progress.c.done_until > hour
    upsert = begun.on_conflict_do_update(index_elements=["scope"], set_={"done_until": hour}, where=later)
    tx.connection.execute(upsert)


def between(tx: Tx, scope: str, teams: Collection[str], since: int, until: int, limit: int) -> Iterator[Raw]:
    """Yield a scope's readings from ``since`` to before ``until``, newest first."""
    mine = (usage.c.scope == scope) & usage.c.team_id.in_(teams) & (usage.c.at >= since) & (usage.c.at < until)
    rows = tx.connection.execute(select(usage).where(mine).order_by(usage.c.at.desc()).limit(limit))
    return (Raw(**row._mapping) for row in rows)


def days(tx: Tx, scope: str, teams: Collection[str], day: int) -> dict[str, bytes]:
    """Return one day of all objects of a scope."""
    mine = (usage_days.c.scope == scope) & usage_days.c.team_id.in_(teams) & (usage_days.c.day == day)
    rows = tx.connection.execute(select(usage_days.c.object, usage_days.c.body).where(mine))
    return {row.object: row.body for row in rows}


def days_of(tx: Tx, scope: str, teams: Collection[str], key: str, first: int, last: int) -> dict[int, bytes]:
    """Return one object's days from ``first`` to ``last``."""
    mine = (usage_days.c.scope == scope) & usage_days.c.team_id.in_(teams) & (usage_days.c.object == key)
    rows = tx.connection.execute(select(usage_days).where(mine & usage_days.c.day.between(first, last)))
    return {row.day: row.body for row in rows}


def put_days(tx: Tx, rows: Sequence[Day]) -> None:
    """Write days, in place of what was there."""
    made = _insert(tx)(usage_days)
    changed = {"body": made.excluded.body}
    upsert = made.on_conflict_do_update(index_elements=["scope", "object", "day"], set_=changed)
    tx.connection.execute(upsert, [vars(row) for row in rows])


def progress(tx: Tx, scope: str) -> Progress | None:
    """Return up to where a scope is rolled up."""
    row = tx.connection.execute(select(usage_progress).where(usage_progress.c.scope == scope)).first()
    return None if row is None else Progress(**row._mapping)


def due(tx: Tx, before: int) -> Progress | None:
    """Return a scope with an hour to roll up that has ended before an instant, the one that is furthest behind."""
    waiting = usage_progress.c.done_until <= before - HOUR
    rows = select(usage_progress).where(waiting).order_by(usage_progress.c.done_until).limit(1)
    row = tx.connection.execute(rows).first()
    return None if row is None else Progress(**row._mapping)


def next_reading(tx: Tx, scope: str, since: int) -> int | None:
    """Return when a scope's next reading was made."""
    mine = (usage.c.scope == scope) & (usage.c.at >= since)
    return tx.connection.execute(select(func.min(usage.c.at)).where(mine)).scalar()


def advance(tx: Tx, before: Progress, until: int) -> None:
    """Note that a scope is rolled up until an instant; where a late reading has set it back meanwhile, that counts."""
    mine = (usage_progress.c.scope == before.scope) & (usage_progress.c.done_until == before.done_until)
    tx.connection.execute(update(usage_progress).where(mine).values(done_until=until))


def move(tx: Tx, old: str, new: str) -> None:
    """Bring the readings of a scope into another, where that has none of the same instant or day."""
    for table, keys in ((usage, ("at", "agent_id", "part")), (usage_days, ("object", "day"))):
        there = table.alias()
        same = (there.c.scope == new) & _all_equal(table, there, keys)
        mine = (table.c.scope == old) & ~select(there.c.scope).where(same).exists()
        tx.connection.execute(update(table).where(mine).values(scope=new))
        tx.connection.execute(delete(table).where(table.c.scope == old))
    tx.connection.execute(delete(usage_progress).where(usage_progress.c.scope.in_([old, new])))


def forget(tx: Tx, before: int) -> int:
    """Drop raw readings made before an instant, a bounded number at once; return how many."""
    return tx.connection.execute(delete(usage).where(oldest(usage.c.at, before))).rowcount


def forget_days(tx: Tx, before: int) -> int:
    """Drop rolled up days before a day, a bounded number at once; return how many."""
    some = select(usage_days.c.scope, usage_days.c.object, usage_days.c.day).where(usage_days.c.day < before)
    found = tx.connection.execute(some.limit(DROPPED_AT_ONCE)).all()
    if found:
        keys = [{"the_scope": row.scope, "the_object": row.object, "the_day": row.day} for row in found]
        mine = (usage_days.c.scope == bindparam("the_scope")) & (usage_days.c.object == bindparam("the_object"))
        tx.connection.execute(delete(usage_days).where(mine & (usage_days.c.day == bindparam("the_day"))), keys)
    return len(found)


def _all_equal(table: Table, there: FromClause, keys: tuple[str, ...]) -> ColumnElement[bool]:
    return and_(*(table.c[key] == there.c[key] for key in keys))


def _insert(tx: Tx) -> Callable[[Table], Any]:
    return postgresql.insert if tx.connection.dialect.name == "postgresql" else sqlite.insert
