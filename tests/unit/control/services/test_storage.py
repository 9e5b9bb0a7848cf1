"""When a storage is full, and when no more."""

from datetime import datetime

import pytest

from nanny_ops.control.services import storage as service
from nanny_ops.control.services.change import Place
from nanny_ops.control.store import storage as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.storage import StorageFilter
from nanny_ops.protocol.inventory import StorageReport

PLACE = Place(teams.DEFAULT, "agent-1", None, "")


def told(used: int | None, node: str = "pve1", *, shared: bool = False) -> StorageReport:
    return StorageReport(
        storage="local", node=node, type="dir", status="available", shared=shared, content="iso,backup",
        used=used, total=None if used is None else 100,
    )  # fmt: skip


def take(database: Database, *reports: StorageReport) -> list[str]:
    changes = database.write_now(lambda tx: service.take(tx, PLACE, reports, "agent-1", 1))
    return [f"{change.kind} {change.object}" for change in changes]


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([95, 99], []),  # full at first sight is no change
        ([50, 90, 95, 86, 91, 84], ["storage.full storage/pve1/local", "storage.relieved storage/pve1/local"]),
        ([89, 90, None, 91], ["storage.full storage/pve1/local"]),
    ],
)
def test_full_has_some_slack(database: Database, readings: list[int | None], expected: list[str]) -> None:
    assert [one for used in readings for one in take(database, told(used))] == expected


def test_a_shared_storage_is_told_once(database: Database) -> None:
    nodes = ("pve1", "pve2", "pve3")
    take(database, *(told(10, node, shared=True) for node in nodes))
    for used, expected in ((95, ["storage.full storage/local"]), (20, ["storage.relieved storage/local"])):
        found = [one for node in nodes for one in take(database, told(used, node, shared=True))]
        assert found == expected


def test_the_same_in_another_order_is_no_change(database: Database, now: datetime) -> None:
    del now
    both = (told(10), told(20, "pve2"))
    take(database, *both)
    assert take(database, *reversed(both)) == []
    rows, total = database.read_now(lambda tx: store.page(tx, {teams.DEFAULT}, 10, 0, StorageFilter(node="pve2")))
    assert (total, rows[0].used, rows[0].content) == (1, 20, "backup,iso")
    assert database.read_now(lambda tx: store.find(tx, rows[0].id, {"team-other"})) is None


def test_one_report_that_names_a_storage_twice(database: Database) -> None:
    take(database, told(10), told(11))
    rows, total = database.read_now(lambda tx: store.page(tx, {teams.DEFAULT}, 10, 0, StorageFilter()))
    assert (total, rows[0].used) == (1, 11)
