"""Failed tasks are noted once, whoever tells of them, and a failed backup is an event."""

from nanny_ops.control.services import task as service
from nanny_ops.control.services.change import Place
from nanny_ops.control.store import task as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.task import TaskFilter
from nanny_ops.protocol.inventory import TaskReport

PLACE = Place(teams.DEFAULT, "agent-1", None, "")
SECOND = 1_000_000


def told(upid: str, start: int, kind: str = "vzdump", end: int = 0) -> TaskReport:
    return TaskReport(upid=upid, node="pve1", kind=kind, id="101", start=start, end=end, status="job errors")


def take(database: Database, *reports: TaskReport) -> list[str]:
    changes = database.write_now(
        lambda tx: service.take(tx, PLACE, reports, "agent-1", 5000 * SECOND, 1000 * SECOND, 100 * SECOND)
    )
    return [f"{change.kind} {change.detail['task']}" for change in changes]


def test_a_failed_backup_is_told_once(database: Database) -> None:
    reports = (told("U1", 2000), told("U1", 2000), told("U2", 3000, kind="vzstart"))
    assert take(database, *reports) == ["backup.failed U1"]
    assert take(database, *reversed(reports)) == []
    rows, total = database.read_now(lambda tx: store.page(tx, {teams.DEFAULT}, 10, 0, TaskFilter()))
    assert ([row.upid for row in rows], total) == (["U2", "U1"], 2)
    assert database.read_now(lambda tx: store.find(tx, "U1", {teams.DEFAULT})) == rows[1]
    assert database.read_now(lambda tx: store.find(tx, "U1", {"team-other"})) is None


def test_what_failed_before_is_history(database: Database) -> None:
    assert take(database, told("U1", 500, end=900), told("U2", 500, end=1500)) == ["backup.failed U2"]
    assert take(database, told("U0", 50)) == []
    assert database.read_now(lambda tx: store.page(tx, {teams.DEFAULT}, 10, 0, TaskFilter()))[1] == 2


def test_an_impossible_instant_can_still_be_shown(database: Database) -> None:
    take(database, told("U1", 2**62))
    row = database.read_now(lambda tx: store.find(tx, "U1", {teams.DEFAULT}))
    assert row is not None
    assert row.started_at == 253_402_300_799 * SECOND


def test_old_ones_go(database: Database) -> None:
    take(database, told("U1", 2000))
    assert database.write_now(lambda tx: store.forget(tx, 5000 * SECOND)) == 0
    assert database.write_now(lambda tx: store.forget(tx, 5001 * SECOND)) == 1
