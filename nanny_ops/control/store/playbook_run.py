"""Runs of playbooks; their folders lie in the data directory that ``home`` names."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.playbook_tables import playbook_runs as rows
from nanny_ops.protocol.playbook_run import GOOD_RUNS, OPEN_RUNS


@dataclass(frozen=True)
class Run:
    """One run; see the table."""

    id: str
    team_id: str
    home: str
    playbook: str
    origin: str
    digest: str
    subject: str
    vars: dict[str, Any]
    only: list[str]
    checking: bool
    unchecked_reason: str
    timeout_seconds: int
    created_by: str
    created_at: int
    added: dict[str, Any] = field(default_factory=dict)
    checked_by: str | None = None
    status: str = "pending"
    outcome: str | None = None
    reason: str = ""
    hosts: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    events: int = 0
    left_out: int = 0
    started_at: int | None = None
    followed_at: int | None = None
    ended_at: int | None = None
    cancel_at: int | None = None

    @property
    def changes(self) -> bool:
        """Tell whether it may change something: only then did a check come first, or a reason why none did."""
        return bool(self.checked_by or self.unchecked_reason)


def add(tx: Tx, run: Run) -> None:
    """Write a new run."""
    tx.connection.execute(insert(rows).values(**vars(run)))


def get(tx: Tx, key: str, teams: Collection[str]) -> Run | None:
    """Find a run of these teams."""
    return _run(tx.connection.execute(select(rows).where((rows.c.id == key) & rows.c.team_id.in_(teams))).first())


def find(tx: Tx, key: str) -> Run | None:
    """Find a run of any team, and hold it: only for whoever carries it out."""
    return _run(tx.connection.execute(tx.held(select(rows).where(rows.c.id == key))).first())


def page(
    tx: Tx, teams: Collection[str], limit: int, offset: int, *, playbook: str = "", status: str = ""
) -> tuple[list[Run], int]:
    """Return a page, newest first, and how many there are."""
    chosen: ColumnElement[bool] = rows.c.team_id.in_(teams)
    for name, value in (("playbook", playbook), ("status", status)):
        if value:
            chosen &= rows.c[name] == value
    newest = select(rows).where(chosen).order_by(rows.c.created_at.desc(), rows.c.id).limit(limit).offset(offset)
    found = [Run(**row._mapping) for row in tx.connection.execute(newest)]
    return found, tx.connection.execute(select(func.count()).select_from(rows).where(chosen)).scalar_one()


def open_ones(tx: Tx, home: str) -> list[Run]:
    """Return what has not ended of a home, of any team, oldest first: only for whoever carries them out."""
    mine = (rows.c.home == home) & rows.c.status.in_(OPEN_RUNS)
    return [Run(**row._mapping) for row in tx.connection.execute(select(rows).where(mine).order_by(rows.c.created_at))]


def deserted(tx: Tx, followed_before: int) -> list[Run]:
    """Return running ones of any home that nobody has followed since an instant."""
    stale = (rows.c.status == "running") & (rows.c.followed_at < followed_before)
    return [Run(**row._mapping) for row in tx.connection.execute(select(rows).where(stale))]


def waiting(tx: Tx, home: str) -> int:
    """Return how many runs of a home have not begun."""
    mine = (rows.c.home == home) & (rows.c.status == "pending")
    return tx.connection.execute(select(func.count()).select_from(rows).where(mine)).scalar_one()


def good_check(tx: Tx, team_id: str, subject: str, since: int) -> Run | None:
    """Find the newest check of the same that ended well since an instant."""
    same = (rows.c.team_id == team_id) & (rows.c.subject == subject) & rows.c.checking.is_(True)
    good = rows.c.outcome.in_(GOOD_RUNS) & (rows.c.ended_at >= since)
    return _run(tx.connection.execute(select(rows).where(same & good).order_by(rows.c.ended_at.desc())).first())


def change(tx: Tx, key: str, **values: Any) -> None:
    """Change fields of a run."""
    tx.connection.execute(update(rows).where(rows.c.id == key).values(**values))


def old(tx: Tx, home: str, before: int, most: int) -> list[str]:
    """Return the ended runs of a home that are older than an instant, or behind so many newer ones."""
    ended = (rows.c.home == home) & rows.c.status.not_in(OPEN_RUNS)
    newest = select(rows.c.id, rows.c.ended_at).where(ended).order_by(rows.c.ended_at.desc(), rows.c.id)
    found = tx.connection.execute(newest).all()
    return [row.id for place, row in enumerate(found) if place >= most or (row.ended_at or 0) < before]


def forget(tx: Tx, ids: Collection[str]) -> None:
    """Drop runs."""
    tx.connection.execute(delete(rows).where(rows.c.id.in_(ids)))


def _run(row: Row[Any] | None) -> Run | None:
    return None if row is None else Run(**row._mapping)
