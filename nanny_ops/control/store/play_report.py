"""Reports of plays."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, text

from nanny_ops.control.store.database import DROPPED_AT_ONCE, Tx
from nanny_ops.control.store.play_report_tables import play_reports as rows

#: What lists show: all but the body.
SHOWN = [column for column in rows.c if column.name != "body"]


@dataclass(frozen=True)
class Report:
    """One report; ``body`` is empty in lists."""

    id: str
    team_id: str
    playbook: str
    checking: bool
    outcome: str
    hosts: int
    changed: int
    failed: int
    unreachable: int
    left_out: int
    ansible_version: str
    created_by: str
    created_at: int
    started_at: int
    ended_at: int
    request_digest: str
    request_key: str | None = None
    body: dict[str, Any] = field(default_factory=dict)


def add(tx: Tx, report: Report) -> None:
    """Write a new report."""
    tx.connection.execute(insert(rows).values(**vars(report)))


def by_request_key(tx: Tx, key: str, since: int) -> Report | None:
    """Find what was reported with this key since an instant; holds others with the key back."""
    if tx.connection.dialect.name == "postgresql":
        tx.connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 1))"), {"key": key})
    chosen = (rows.c.request_key == key) & (rows.c.created_at >= since)
    return _report(tx.connection.execute(select(*SHOWN).where(chosen).order_by(rows.c.created_at.desc())).first())


def get(tx: Tx, key: str, teams: Collection[str]) -> Report | None:
    """Find a report of these teams, with its body."""
    return _report(tx.connection.execute(select(rows).where((rows.c.id == key) & rows.c.team_id.in_(teams))).first())


def page(tx: Tx, teams: Collection[str], limit: int, offset: int, **filters: Any) -> tuple[list[Report], int]:
    """Return a page without bodies, newest first, and how many there are; filters are columns."""
    chosen: ColumnElement[bool] = rows.c.team_id.in_(teams)
    for name, value in filters.items():
        chosen &= rows.c[name] == value
    newest = select(*SHOWN).where(chosen).order_by(rows.c.created_at.desc(), rows.c.id).limit(limit).offset(offset)
    found = [Report(**row._mapping) for row in tx.connection.execute(newest)]
    return found, tx.connection.execute(select(func.count()).select_from(rows).where(chosen)).scalar_one()


def forget(tx: Tx, before: int) -> int:
    """Drop reports that came before an instant, some at once; return how many."""
    old = select(rows.c.id).where(rows.c.created_at < before).order_by(rows.c.created_at).limit(DROPPED_AT_ONCE)
    return tx.connection.execute(delete(rows).where(rows.c.id.in_(old))).rowcount


def forget_beyond(tx: Tx, most: int) -> int:
    """Drop the oldest reports of a team beyond so many, some at once; return how many."""
    place = func.row_number().over(partition_by=rows.c.team_id, order_by=(rows.c.created_at.desc(), rows.c.id))
    ranked = select(rows.c.id, place.label("place")).subquery()
    old = select(ranked.c.id).where(ranked.c.place > most).limit(DROPPED_AT_ONCE)
    return tx.connection.execute(delete(rows).where(rows.c.id.in_(old))).rowcount


def _report(row: Row[Any] | None) -> Report | None:
    return None if row is None else Report(**row._mapping)
