"""What results tell about packages: remembered as rows, so that a question about a fleet is one query."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from univers.versions import DebianVersion

from nanny_ops.control.services import patch_option as options
from nanny_ops.control.services.agent import health
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import package as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol.clock import micros, stamp_micros
from nanny_ops.protocol.patch import PackageChange

#: Actions after which a package is no longer there.
GONE = frozenset({"remove", "purge"})


def remember(tx: Tx, operation: Operation, changes: Iterable[PackageChange], now: datetime) -> None:
    """Keep what a finished patch operation said of its target's packages. Idempotent.

    A dry run names all that is pending there, unless the order restricted it; what it no longer names is settled. An
    applied change leaves nothing pending for its package.
    """
    if operation.target != "host":
        store.adopt(tx, operation.agent_id, operation.target)
    said = {change.name: change for change in changes}
    planned = operation.request.get("mode") == "dry-run"
    gone = [] if planned else [name for name, change in said.items() if change.action in GONE]
    store.drop(tx, operation.agent_id, operation.target, gone)
    kept = [change for change in said.values() if change.action not in GONE]
    store.remember(tx, [_row(operation, change, planned=planned, now=now) for change in kept])
    if planned and is_whole(operation):
        untold = {*said, *options.excluded(operation.request)}  # of what was excluded a run says nothing
        store.settle(tx, operation.agent_id, operation.target, untold, operation.id, micros(now))


@dataclass(frozen=True)
class Page:
    """One page of rendered rows, and how many there are on all pages."""

    items: list[dict[str, Any]]
    total: int


def find(tx: Tx, who: Person, wanted: store.Wanted, below: str | None, limit: int, offset: int, now: datetime) -> Page:
    """Tell where a package is known to be; ``below`` leaves those whose installed version is older.

    A version that cannot be compared is shown rather than taken for good. Raises ValidationFailed for a bad ``below``.
    """
    bound = None if below is None else _version(below)
    if below is not None and bound is None:
        raise ValidationFailed(f"below: '{below}' is not a version of a Debian package.", field="below")
    found = store.sightings(tx, who.teams, wanted)
    if bound is not None:
        found = [row for row in found if row.installed and _is_below(row.installed, bound)]
    return Page([_rendered(row, now) for row in found[offset : offset + limit]], len(found))


def _version(text: str) -> DebianVersion | None:
    try:
        return None if any(sign.isspace() for sign in text) else DebianVersion(text)
    except ValueError:
        return None


def _is_below(installed: str, bound: DebianVersion) -> bool:
    version = _version(installed)
    return version is None or bool(version < bound)


def _rendered(row: store.Sighting, now: datetime) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in ("name", "installed", "candidate", "security", "target")},
        "pending": bool(row.installed) and row.installed != row.candidate,
        "agent_id": row.agent_id,
        "hostname": row.hostname,
        "guest_id": row.guest_id,
        "guest_name": row.guest_name,
        "vmid": row.vmid,
        "operation_id": row.operation_id,
        "seen_at": stamp_micros(row.seen_at),
        "freshness_seconds": max(0, (micros(now) - row.seen_at) // 1_000_000),
        "stale": health(row.last_seen, now) in {"offline", "unknown"},
    }


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


def is_whole(operation: Operation) -> bool:
    """Tell whether the order looked at all packages; else silence about one means nothing."""
    asked = operation.request
    return not (asked.get("only") or asked.get("security_only"))
