"""What results tell about packages: remembered as rows, so that a question about a fleet is one query."""

from collections.abc import Iterable
from datetime import datetime

from nanny_ops.control.store import package as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.patch import PackageChange

#: Actions after which a package is no longer there.
GONE = frozenset({"remove", "purge"})


def remember(tx: Tx, operation: Operation, changes: Iterable[PackageChange], now: datetime) -> None:
    """Keep what a finished patch operation said of its target's packages. Idempotent.

    A dry run names all that is pending there, unless the order restricted it; what it no longer names is settled. An
    applied change leaves nothing pending for its package.
    """
    said = {change.name: change for change in changes}
    planned = operation.request.get("mode") == "dry-run"
    gone = [] if planned else [name for name, change in said.items() if change.action in GONE]
    store.drop(tx, operation.agent_id, operation.target, gone)
    kept = [change for change in said.values() if change.action not in GONE]
    store.remember(tx, [_row(operation, change, planned=planned, now=now) for change in kept])
    if planned and not _restricted(operation):
        store.settle(tx, operation.agent_id, operation.target, said, operation.id, micros(now))


def _row(operation: Operation, change: PackageChange, *, planned: bool, now: datetime) -> store.Package:
    return store.Package(
        agent_id=operation.agent_id,
        target=operation.target,
        name=change.name,
        team_id=operation.team_id,
        installed=change.old_version if planned else change.version,
        candidate=change.version,
        security=change.security if planned else None,
        operation_id=operation.id,
        seen_at=micros(now),
    )


def _restricted(operation: Operation) -> bool:
    """Tell whether the order looked at some packages only, so that silence about others means nothing."""
    asked = operation.request
    return bool(asked.get("only") or asked.get("exclude") or asked.get("security_only"))
