"""Storages as agents tell of them, and when one is full."""

import uuid
from collections.abc import Iterable
from dataclasses import replace

from nanny_ops.control.services.change import Change, Place
from nanny_ops.control.store import storage as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.storage import Storage
from nanny_ops.protocol.inventory import StorageReport

Rows = dict[tuple[str, str], Storage]
#: Full from here on, and no more below there: one that stands at the line does not tell it each time.
FULL, RELIEVED = 0.90, 0.85


def take(tx: Tx, place: Place, told: Iterable[StorageReport], agent_id: str, at: int) -> list[Change]:
    """Write what an agent may tell of storages; return what happened. One seen for the first time is no change."""
    known = store.of_scope(tx, place.scope)
    now = dict(known)
    changes: list[Change] = []
    for report in told:
        key = (report.node, report.storage)
        old, new = now.get(key), _row(place, report, agent_id, at, now.get(key))
        now[key] = new
        if old is not None and (old.full_since is None) != (new.full_since is None):
            changes.append(_change(new))
            now |= _as_full(now, new)
    fresh = [row for key, row in now.items() if key not in known]
    store.put(tx, fresh, [row for key, row in now.items() if key in known and row != known[key]])
    return changes


def _as_full(rows: Rows, like: Storage) -> Rows:
    """Return the rows of a shared storage as full as one node says: the others do not tell it again."""
    same = {key: row for key, row in rows.items() if like.shared and row.shared and row.name == like.name}
    return {key: replace(row, full_since=like.full_since) for key, row in same.items()}


def _row(place: Place, report: StorageReport, agent_id: str, at: int, old: Storage | None) -> Storage:
    new = Storage(
        id=old.id if old else f"storage-{uuid.uuid4()}",
        team_id=place.team_id,
        scope=place.scope,
        cluster_pk=place.cluster_pk,
        node=report.node,
        name=report.storage,
        kind=report.type,
        status=report.status,
        shared=report.shared,
        content=",".join(sorted(filter(None, report.content.split(",")))),
        used=report.used,
        total=report.total,
        reported_by=agent_id,
        created_at=old.created_at if old else at,
        updated_at=at,
    )
    return replace(new, full_since=_full_since(new, old.full_since if old else None, at))


def _full_since(row: Storage, before: int | None, at: int) -> int | None:
    if row.used is None or not row.total:
        return before
    part = row.used / row.total
    if before is None:
        return at if part >= FULL else None
    return before if part >= RELIEVED else None


def _change(row: Storage) -> Change:
    kind = "storage.relieved" if row.full_since is None else "storage.full"
    name = f"storage/{row.name}" if row.shared else f"storage/{row.node}/{row.name}"
    detail = {"used": row.used, "total": row.total}
    return Change(kind, name, row.id, row.name, "" if row.shared else row.node, detail)
