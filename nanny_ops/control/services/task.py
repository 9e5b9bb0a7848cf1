"""Tasks of Proxmox VE that failed, each noted once."""

import uuid
from collections.abc import Sequence

from nanny_ops.control.services.change import Change, Place
from nanny_ops.control.store import task as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.task import Task
from nanny_ops.protocol.inventory import TaskReport

#: Which kinds of tasks are backups.
BACKUPS = frozenset({"vzdump"})
SECOND = 1_000_000
#: The last second that can be written as an instant, 9999-12-31T23:59:59Z; a wrong clock may tell any number.
END_OF_TIME = 253_402_300_799


def take(
    tx: Tx, place: Place, told: Sequence[TaskReport], agent_id: str, at: int, known_since: int, keep_since: int
) -> list[Change]:
    """Write tasks that are not there yet; return what happened.

    What ended before ``known_since``, when this place was first heard of, is history and no change; what began before
    ``keep_since`` is not kept any more. Instants are microseconds.
    """
    recent = {report.upid: report for report in told if report.start * SECOND >= keep_since}
    if not recent:
        return []
    there = store.known(tx, place.scope, recent.keys())
    rows = [_row(place, report, agent_id, at) for upid, report in recent.items() if upid not in there]
    store.add(tx, rows)
    return [_failed(row) for row in rows if row.kind in BACKUPS and (row.ended_at or row.started_at) >= known_since]


def _row(place: Place, report: TaskReport, agent_id: str, at: int) -> Task:
    return Task(
        id=f"task-{uuid.uuid4()}",
        team_id=place.team_id,
        scope=place.scope,
        cluster_pk=place.cluster_pk,
        upid=report.upid,
        node=report.node,
        kind=report.kind,
        about=report.id,
        user=report.user,
        status=report.status,
        started_at=_instant(report.start),
        ended_at=_instant(report.end) if report.end else None,
        reported_by=agent_id,
        created_at=at,
    )


def _instant(seconds: int) -> int:
    return min(seconds, END_OF_TIME) * SECOND


def _failed(row: Task) -> Change:
    detail = {"task": row.upid, "about": row.about, "error": row.status}
    return Change("backup.failed", f"node/{row.node}", row.id, row.about, row.node, detail)
