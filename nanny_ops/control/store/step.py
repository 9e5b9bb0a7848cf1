"""Steps of running jobs, as their agents tell them; the report of a result takes their place."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import delete, insert, select, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.patch_tables import job_steps as rows


def keep(tx: Tx, operation: Operation, body: list[dict[str, Any]], at: int) -> None:
    """Write all steps of an operation in place of those that were told before."""
    mine = rows.c.operation_id == operation.id
    if not tx.connection.execute(update(rows).where(mine).values(body=body, at=at)).rowcount:
        row = {"operation_id": operation.id, "team_id": operation.team_id, "body": body, "at": at}
        tx.connection.execute(insert(rows), row)


def of(tx: Tx, operation_ids: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the steps of each of these operations that has told any."""
    if not operation_ids:
        return {}
    chosen = select(rows.c.operation_id, rows.c.body).where(rows.c.operation_id.in_(operation_ids))
    return {row.operation_id: row.body for row in tx.connection.execute(chosen)}


def forget(tx: Tx, operation_id: str) -> None:
    """Drop what a report tells better."""
    tx.connection.execute(delete(rows).where(rows.c.operation_id == operation_id))
