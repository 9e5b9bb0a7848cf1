"""Storages, one row for each node that has one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, bindparam, delete, func, insert, select, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.proxmox_tables import clusters, storages


@dataclass(frozen=True)
class Storage:
    """One storage as one node sees it; sizes in bytes, None is unknown."""

    id: str
    team_id: str
    scope: str
    cluster_pk: str | None
    node: str
    name: str
    kind: str
    status: str
    shared: bool
    content: str
    used: int | None
    total: int | None
    reported_by: str
    created_at: int
    updated_at: int
    full_since: int | None = None


@dataclass(frozen=True, kw_only=True)
class StorageFilter:
    """Which storages are wanted; an empty field does not filter."""

    cluster: str = ""
    node: str = ""
    kind: str = ""
    status: str = ""
    name: str = ""
    full: bool | None = None


def of_scope(tx: Tx, scope: str) -> dict[tuple[str, str], Storage]:
    """Return a scope's storages by node and name."""
    rows = tx.connection.execute(select(storages).where(storages.c.scope == scope))
    return {(row.node, row.name): Storage(**row._mapping) for row in rows}


def put(tx: Tx, fresh: Sequence[Storage], changed: Sequence[Storage]) -> None:
    """Write new storages, and others in place of the rows with their ids."""
    if fresh:
        tx.connection.execute(insert(storages), [vars(row) for row in fresh])
    if changed:
        columns = ("kind", "status", "shared", "content", "used", "total", "reported_by", "updated_at", "full_since")
        statement = update(storages).where(storages.c.id == bindparam("the_id"))
        statement = statement.values({name: bindparam(f"new_{name}") for name in columns})
        rows = [{"the_id": row.id, **{f"new_{name}": getattr(row, name) for name in columns}} for row in changed]
        tx.connection.execute(statement, rows)


def forget(tx: Tx, before: int) -> None:
    """Drop storages of which nobody has told since an instant."""
    tx.connection.execute(delete(storages).where(storages.c.updated_at < before))


def drop_scope(tx: Tx, scope: str) -> None:
    """Forget all of a scope."""
    tx.connection.execute(delete(storages).where(storages.c.scope == scope))


def find(tx: Tx, key: str, teams: Collection[str]) -> Storage | None:
    """Find a storage of these teams by our id."""
    row = tx.connection.execute(select(storages).where((storages.c.id == key) & storages.c.team_id.in_(teams))).first()
    return None if row is None else Storage(**row._mapping)


def page(tx: Tx, teams: Collection[str], limit: int, offset: int, wanted: StorageFilter) -> tuple[list[Storage], int]:
    """Return a page of storages by name and node, and how many there are."""
    chosen = _chosen(teams, wanted)
    ordered = select(storages).where(chosen).order_by(storages.c.name, storages.c.node, storages.c.id)
    rows = tx.connection.execute(ordered.limit(limit).offset(offset))
    total = tx.connection.execute(select(func.count()).select_from(storages).where(chosen)).scalar_one()
    return [Storage(**row._mapping) for row in rows], total


def _chosen(teams: Collection[str], wanted: StorageFilter) -> ColumnElement[bool]:
    chosen: ColumnElement[bool] = storages.c.team_id.in_(teams)
    for name in ("node", "kind", "status"):
        if value := getattr(wanted, name):
            chosen &= storages.c[name] == value
    if wanted.cluster:
        named = select(clusters.c.id).where(clusters.c.cluster_name == wanted.cluster)
        chosen &= (storages.c.cluster_pk == wanted.cluster) | storages.c.cluster_pk.in_(named)
    if wanted.name:
        chosen &= storages.c.name.icontains(wanted.name, autoescape=True)
    if wanted.full is not None:
        chosen &= storages.c.full_since.is_not(None) if wanted.full else storages.c.full_since.is_(None)
    return chosen
