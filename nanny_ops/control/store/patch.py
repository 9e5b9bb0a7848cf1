"""What patch operations did to packages, and what else they told."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import insert, select

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.tables import package_changes, patch_reports
from nanny_ops.protocol.patch import PackageChange

FIELDS = ("name", "version", "old_version", "action", "security", "repository", "size")


def add_changes(tx: Tx, operation: Operation, changes: Iterable[PackageChange]) -> None:
    """Write the package list of a result, in its order."""
    rows = [
        {"operation_id": operation.id, "position": position, "team_id": operation.team_id, **asdict(change)}
        for position, change in enumerate(changes)
    ]
    if rows:
        tx.connection.execute(insert(package_changes), rows)


def changes_of(tx: Tx, operation_id: str) -> list[PackageChange]:
    """Return the package list of an operation's result, in its order."""
    columns = [package_changes.c[name] for name in FIELDS]
    chosen = package_changes.c.operation_id == operation_id
    rows = tx.connection.execute(select(*columns).where(chosen).order_by(package_changes.c.position))
    return [PackageChange(**row._mapping) for row in rows]


def add_report(tx: Tx, operation: Operation, body: dict[str, Any]) -> None:
    """Write what a result told beside its packages."""
    row = {"operation_id": operation.id, "team_id": operation.team_id, "body": body}
    tx.connection.execute(insert(patch_reports), row)


def report_of(tx: Tx, operation_id: str) -> dict[str, Any] | None:
    """Return what an operation's result told beside its packages."""
    chosen = patch_reports.c.operation_id == operation_id
    found: dict[str, Any] | None = tx.connection.execute(select(patch_reports.c.body).where(chosen)).scalar()
    return found
