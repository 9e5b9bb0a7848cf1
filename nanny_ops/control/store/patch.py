"""What patch operations did to packages."""

from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import insert, select

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.tables import package_changes
from nanny_ops.protocol.patch import PackageChange

FIELDS = ("name", "version", "old_version", "action", "security", "repository")


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
