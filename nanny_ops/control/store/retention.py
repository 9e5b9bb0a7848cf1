"""Old operations: which may go, and everything that is theirs alone with them."""

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Column, delete, exists, or_, select, update

from nanny_ops.control.store.columns import metadata
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.patch_tables import job_steps, patch_batches
from nanny_ops.control.store.tables import operations, package_changes, patch_reports
from nanny_ops.protocol.operation import ENDED

#: Tables whose rows are an operation's own and go with it; whatever else names an operation keeps it.
OWN = (package_changes, patch_reports, job_steps)
#: What columns are called that name an operation without being a key.
NAMING = frozenset({"operation_id", "removed_by"})


def with_outputs(tx: Tx, before: int, limit: int) -> list[str]:
    """Return patches that ended before an instant and whose outputs were not dropped yet, oldest first."""
    chosen = operations.c.outputs_dropped_at.is_(None) & (operations.c.finished_at < before)
    chosen &= (operations.c.kind == "patch") & operations.c.status.in_(ENDED)
    oldest = select(operations.c.id).where(chosen).order_by(operations.c.finished_at).limit(limit)
    return list(tx.connection.execute(tx.held(oldest, pass_over=True)).scalars())


def note_outputs_dropped(tx: Tx, ids: Collection[str], now: int) -> None:
    """Note that what these operations printed is gone."""
    tx.connection.execute(update(operations).where(operations.c.id.in_(ids)).values(outputs_dropped_at=now))


def old(tx: Tx, before: int, now: int, limit: int) -> list[str]:
    """Return operations that ended before an instant and to which nothing refers any more, oldest first.

    The orders of a batch go when all of them are old, so that what a batch says of itself stays true.
    """
    other = operations.alias("other")
    young = or_(other.c.finished_at.is_(None), other.c.finished_at >= before, other.c.status.not_in(ENDED))
    chosen = operations.c.status.in_(ENDED) & (operations.c.finished_at < before)
    chosen &= or_(operations.c.held_until.is_(None), operations.c.held_until < now)
    chosen &= ~exists().where((other.c.batch_id == operations.c.batch_id) & young)
    for column in _references():
        chosen &= operations.c.id.not_in(select(column).where(column.is_not(None)))
    oldest = select(operations.c.id).where(chosen).order_by(operations.c.finished_at).limit(limit)
    return list(tx.connection.execute(tx.held(oldest, pass_over=True)).scalars())


def drop(tx: Tx, ids: Collection[str]) -> None:
    """Drop operations with all that is theirs alone."""
    for table in OWN:
        tx.connection.execute(delete(table).where(table.c.operation_id.in_(ids)))
    tx.connection.execute(delete(operations).where(operations.c.id.in_(ids)))


def drop_batches(tx: Tx, before: int, limit: int) -> int:
    """Drop batches that were placed before an instant and have no orders any more; return how many."""
    empty = ~exists().where(operations.c.batch_id == patch_batches.c.id)
    oldest = select(patch_batches.c.id).where((patch_batches.c.created_at < before) & empty)
    found = list(tx.connection.execute(oldest.order_by(patch_batches.c.created_at).limit(limit)).scalars())
    tx.connection.execute(delete(patch_batches).where(patch_batches.c.id.in_(found)))
    return len(found)


def _references() -> Iterator[Column[Any]]:
    """Yield the columns of other tables that name an operation, whether the database knows it as a key or not."""
    for table in metadata.tables.values():
        if table not in OWN and table is not operations:
            for column in table.columns:
                if column.name in NAMING or column.references(operations.c.id):
                    yield column
