"""Readings of hosts, newest kept for two days."""

import zlib
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Executable, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from nanny_ops.control.store.database import Tx, oldest
from nanny_ops.control.store.tables import metrics

_ADD: dict[bool, Executable] = {
    True: sqlite.insert(metrics).on_conflict_do_nothing(),
    False: postgresql.insert(metrics).on_conflict_do_nothing(),
}


@dataclass(frozen=True)
class Reading:
    """One stored reading; ``body`` is the JSON text as it came."""

    at: int
    received_at: int
    body: bytes


def packed(body: bytes) -> bytes:
    """Return how a body is stored: a third of its size, for ten microseconds; the write-ahead log is the bottleneck."""
    return zlib.compress(body, 1)


def adding(*, on_sqlite: bool) -> Executable:
    """Return the statement that writes a row, and does nothing where the agent's instant is known already."""
    return _ADD[on_sqlite]


def page(
    tx: Tx, agent_id: str, teams: Collection[str], between: tuple[int | None, int | None], limit: int, offset: int
) -> tuple[list[Reading], int]:
    """Return a page of an agent's readings, newest first, and how many there are.

    ``between`` is the first instant wanted and the first no longer wanted.
    """
    chosen = _of(agent_id, teams)
    since, until = between
    if since is not None:
        chosen &= metrics.c.at >= since
    if until is not None:
        chosen &= metrics.c.at < until
    newest = select(metrics.c.at, metrics.c.received_at, metrics.c.body).where(chosen).order_by(metrics.c.at.desc())
    rows = tx.connection.execute(newest.limit(limit).offset(offset))
    total = tx.connection.execute(select(func.count()).select_from(metrics).where(chosen)).scalar_one()
    return [Reading(row.at, row.received_at, zlib.decompress(row.body)) for row in rows], total


def forget(tx: Tx, before: int) -> int:
    """Drop readings received before an instant, a bounded number at once; return how many."""
    return tx.connection.execute(delete(metrics).where(oldest(metrics.c.received_at, before))).rowcount


def _of(agent_id: str, teams: Collection[str]) -> ColumnElement[bool]:
    return (metrics.c.agent_id == agent_id) & metrics.c.team_id.in_(teams)
