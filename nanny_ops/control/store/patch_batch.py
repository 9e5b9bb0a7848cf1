"""Batches of patch orders."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, insert, select, text, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.patch_tables import patch_batches as rows
from nanny_ops.control.store.tables import operations


@dataclass(frozen=True)
class Batch:
    """Orders that were placed together; ``skipped`` holds what was left out."""

    id: str
    team_id: str
    request: dict[str, Any]
    skipped: list[dict[str, Any]]
    placed: int
    created_by: str
    created_at: int
    cancelled_at: int | None = None
    request_key: str | None = None
    request_digest: str | None = None


def add(tx: Tx, batch: Batch) -> None:
    """Write a new batch."""
    tx.connection.execute(insert(rows).values(**vars(batch)))


def get(tx: Tx, key: str, teams: Collection[str]) -> Batch | None:
    """Find a batch of these teams."""
    return _batch(tx.connection.execute(select(rows).where((rows.c.id == key) & rows.c.team_id.in_(teams))).first())


def by_request_key(tx: Tx, key: str, since: int) -> Batch | None:
    """Find the newest batch that was asked for with this key since an instant; holds others with the key back."""
    if tx.connection.dialect.name == "postgresql":
        tx.connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})
    chosen = (rows.c.request_key == key) & (rows.c.created_at >= since)
    return _batch(tx.connection.execute(select(rows).where(chosen).order_by(rows.c.created_at.desc())).first())


def page(tx: Tx, teams: Collection[str], limit: int, offset: int) -> tuple[list[Batch], int]:
    """Return a page, newest first, and how many there are."""
    chosen = rows.c.team_id.in_(teams)
    newest = select(rows).where(chosen).order_by(rows.c.created_at.desc(), rows.c.id).limit(limit).offset(offset)
    found = [Batch(**row._mapping) for row in tx.connection.execute(newest)]
    return found, tx.connection.execute(select(func.count()).select_from(rows).where(chosen)).scalar_one()


def orders(tx: Tx, batch_id: str, *, held: bool = False) -> list[Operation]:
    """Return a batch's orders, oldest first; ``held`` keeps others from deciding about them."""
    mine = select(operations).where(operations.c.batch_id == batch_id)
    query = mine.order_by(operations.c.created_at, operations.c.id)
    return [Operation(**row._mapping) for row in tx.connection.execute(tx.held(query) if held else query)]


def summaries(tx: Tx, ids: Collection[str]) -> dict[str, list[tuple[str, str | None, int]]]:
    """Return for each batch how many of its orders have which status and outcome."""
    columns = (operations.c.batch_id, operations.c.status, operations.c.outcome)
    counted = select(*columns, func.count().label("number")).where(operations.c.batch_id.in_(ids)).group_by(*columns)
    found: dict[str, list[tuple[str, str | None, int]]] = {key: [] for key in ids}
    for row in tx.connection.execute(counted):
        found[row.batch_id].append((row.status, row.outcome, row.number))
    return found


def cancel(tx: Tx, key: str, now: int) -> None:
    """Note that a batch was taken back."""
    tx.connection.execute(update(rows).where(rows.c.id == key).values(cancelled_at=now))


def _batch(row: Row[Any] | None) -> Batch | None:
    return None if row is None else Batch(**row._mapping)
