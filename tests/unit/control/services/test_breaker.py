"""A node that fails again and again rests: batches wait, single orders do not, and one trial ends it."""

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from nanny_ops.control.services import breaker as service
from nanny_ops.control.services import change
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import audit
from nanny_ops.control.store import event as events
from nanny_ops.control.store import operation as rows
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database, sqlite_url
from nanny_ops.errors import Forbidden, NotFound
from nanny_ops.protocol.operation import Outcome, Status
from tests.unit.control.services.test_capacity import began, claimed
from tests.unit.control.services.test_lease import FAR, OPERATOR, VIEWER, Plane, filled

PAUSE = service.Rest().pause


@pytest.fixture
def plane(tmp_path: Path, empty_store: Path, now: datetime) -> Iterator[Plane]:
    shutil.copyfile(empty_store, tmp_path / empty_store.name)
    database = Database(sqlite_url(tmp_path))
    yield filled(database, now)
    database.close()


def batched(plane: Plane, number: int) -> str:
    """Place an order of a batch on the node that stands alone."""
    placed = plane.place(FAR, f"lxc:{number}")
    plane.database.write_now(lambda tx: rows.change(tx, placed, batch_id="batch-1"))
    return placed


def fail(plane: Plane, outcome: Outcome = Outcome.AGENT_ERROR) -> None:
    """Let an order begin and fail."""
    placed = plane.place(FAR, "lxc:999")
    assert began(plane, placed, FAR)
    plane.database.write_now(
        lambda tx: operations.move(
            tx, plane.row(placed), Status.FAILED, plane.now, outcome=outcome.value, reason="r", held_until=None
        )
    )


def test_after_failures_in_a_row_batches_wait_and_single_orders_do_not(plane: Plane) -> None:
    for _ in range(2):
        fail(plane)
    waiting = batched(plane, 1)
    fail(plane)
    assert not began(plane, waiting, FAR)
    assert "failed 3 times in a row, last with agent_error: r; it rests until" in plane.row(waiting).reason
    assert began(plane, plane.place(FAR, "lxc:2"), FAR)


@pytest.mark.parametrize("outcome", [Outcome.SCRIPT_FAILED, Outcome.REFUSED, Outcome.OK])
def test_what_speaks_against_a_package_says_nothing_of_the_node(plane: Plane, outcome: Outcome) -> None:
    for one in (Outcome.AGENT_ERROR, Outcome.AGENT_ERROR, outcome, Outcome.AGENT_ERROR):
        fail(plane, one)
    assert began(plane, batched(plane, 1), FAR)


def test_after_the_rest_one_is_tried_and_its_end_decides(plane: Plane) -> None:
    for _ in range(3):
        fail(plane)
    first, second = batched(plane, 1), batched(plane, 2)
    plane.now += PAUSE
    assert began(plane, first, FAR)
    assert not began(plane, second, FAR)
    assert "another order is tried" in plane.row(second).reason
    claimed(plane, first, FAR)
    assert began(plane, second, FAR)
    claimed(plane, second, FAR)
    for _ in range(4):
        fail(plane)
    plane.now += PAUSE - timedelta(seconds=1)
    assert not began(plane, batched(plane, 3), FAR)


def test_a_person_resumes_a_node(plane: Plane) -> None:
    for _ in range(3):
        fail(plane)
    waiting = batched(plane, 1)
    shown = plane.database.read_now(lambda tx: service.resting(tx, [FAR.id], service.Rest(), plane.now))
    assert (shown[FAR.id].failures, shown[FAR.id].trial) == (3, False)
    with pytest.raises(Forbidden):
        plane.database.write_now(lambda tx: service.resume(tx, VIEWER, FAR.id, plane.now))
    with pytest.raises(NotFound):
        plane.database.write_now(lambda tx: service.resume(tx, _stranger(), FAR.id, plane.now))
    for _ in range(2):
        plane.database.write_now(lambda tx: service.resume(tx, OPERATOR, FAR.id, plane.now))
    assert began(plane, waiting, FAR)
    assert plane.database.read_now(lambda tx: service.resting(tx, [FAR.id], service.Rest(), plane.now)) == {}


def _stranger() -> Person:
    return Person("user-9", "s@example.com", "s", False, {"team-other": "operator"})


def test_the_team_of_a_row_is_its_agents(plane: Plane) -> None:
    fail(plane)
    found = plane.database.read_now(lambda tx: service.store.get(tx, FAR.id))
    assert found is not None
    assert (found.team_id, found.failures) == (teams.DEFAULT, 1)


def told(plane: Plane) -> list[tuple[str, str, str]]:
    """Return what people were told of nodes that rest: kind, object, and who ended it."""
    found = plane.database.read_now(lambda tx: events.after(tx, 0, 999, subject=change.subject(teams.DEFAULT)))
    rows = [(one.kind, one.payload["record"]) for one in found]
    return [(kind, record["object"], record["detail"].get("by", "")) for kind, record in rows if kind != "patch.ended"]


def swept(plane: Plane) -> int:
    return len(plane.database.write_now(lambda tx: service.sweep(tx, service.Rest(), plane.now)))


def test_people_are_told_once_that_a_node_rests_and_who_has_ended_it(plane: Plane) -> None:
    for _ in range(2):
        fail(plane)
    assert (swept(plane), told(plane)) == (0, [])
    fail(plane)
    assert [swept(plane), swept(plane)] == [1, 0]
    assert plane.database.read_now(service.store.open_count) == 1
    fail(plane)
    assert swept(plane) == 0, "a trial that failed is no new rest"
    plane.database.write_now(lambda tx: service.resume(tx, OPERATOR, FAR.id, plane.now))
    node = "node/far"
    assert told(plane) == [("node.resting", node, ""), ("node.resumed", node, OPERATOR.id)]
    for _ in range(3):
        fail(plane)
    assert swept(plane) == 1
    good = plane.place(FAR, "lxc:5")
    assert began(plane, good, FAR)
    claimed(plane, good, FAR)
    assert told(plane)[2:] == [("node.resting", node, ""), ("node.resumed", node, good)]
    assert plane.database.read_now(service.store.open_count) == 0
    asked = audit.Filter(teams=None, action="agent.rest")
    assert plane.database.read_now(lambda tx: audit.page(tx, asked, 9, 0))[1] == 2
