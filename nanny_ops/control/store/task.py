"""Tasks of Proxmox VE that failed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, insert, select

from nanny_ops.control.store.database import Tx, oldest
from nanny_ops.control.store.proxmox_tables import clusters, tasks


@dataclass(frozen=True)
class Task:
    """One task that failed; ``about`` is the guest or whatever it was about."""

    id: str
    team_id: str
    scope: str
    cluster_pk: str | None
    upid: str
    node: str
    kind: str
    about: str
    user: str
    status: str
    started_at: int
    ended_at: int | None
    reported_by: str
    created_at: int


@dataclass(frozen=True, kw_only=True)
class TaskFilter:
    """Which tasks are wanted; an empty field does not filter."""

    cluster: str = ""
    node: str = ""
    kind: str = ""
    about: str = ""


def known(tx: Tx, scope: str, upids: Collection[str]) -> set[str]:
    """Return which of these tasks are there already."""
    chosen = (tasks.c.scope == scope) & tasks.c.upid.in_(upids)
    return set(tx.connection.execute(select(tasks.c.upid).where(chosen)).scalars())


def add(tx: Tx, rows: Sequence[Task]) -> None:
    """Write new tasks."""
    if rows:
        tx.connection.execute(insert(tasks), [vars(row) for row in rows])


def find(tx: Tx, key: str, teams: Collection[str]) -> Task | None:
    """Find a task of these teams by our id or its UPID."""
    named = (tasks.c.id == key) | (tasks.c.upid == key)
    row = tx.connection.execute(select(tasks).where(named & tasks.c.team_id.in_(teams))).first()
    return None if row is None else Task(**row._mapping)


def page(tx: Tx, teams: Collection[str], limit: int, offset: int, wanted: TaskFilter) -> tuple[list[Task], int]:
    """Return a page of tasks, newest first, and how many there are."""
    chosen: ColumnElement[bool] = tasks.c.team_id.in_(teams)
    for name in ("node", "kind", "about"):
        if value := getattr(wanted, name):
            chosen &= tasks.c[name] == value
    if wanted.cluster:
        named = select(clusters.c.id).where(clusters.c.cluster_name == wanted.cluster)
        chosen &= (tasks.c.cluster_pk == wanted.cluster) | tasks.c.cluster_pk.in_(named)
    newest = select(tasks).where(chosen).order_by(tasks.c.started_at.desc(), tasks.c.id)
    rows = tx.connection.execute(newest.limit(limit).offset(offset))
    total = tx.connection.execute(select(func.count()).select_from(tasks).where(chosen)).scalar_one()
    return [Task(**row._mapping) for row in rows], total


def forget(tx: Tx, before: int) -> int:
    """Drop tasks that were told before an instant, a bounded number at once; return how many."""
    return tx.connection.execute(delete(tasks).where(oldest(tasks.c.created_at, before))).rowcount
