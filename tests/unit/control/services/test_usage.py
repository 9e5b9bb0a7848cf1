"""What of a report goes into the history of usage."""

from typing import Any

from nanny_ops.control.services import series
from nanny_ops.control.services import usage as service
from nanny_ops.control.store import team as teams
from nanny_ops.control.store import usage as store
from nanny_ops.control.store.database import Database
from tests.unit.control.services.fleet_site import REPORT


def report(**fields: Any) -> Any:
    guest = {"vmid": 101, "kind": "lxc", "node": "pve1", "status": "running", "cpu": 0.5, "mem": 7, "netin": 9}
    told: dict[str, Any] = {
        "at": "2026-01-31T02:00:00Z",
        "node": "pve1",
        "usage": [guest, {**guest, "vmid": 102, "node": "pve2"}, {**guest, "vmid": 103, "status": "unknown"}],
        "node_usage": [
            {"node": "pve1", "status": "online", "cpu": 0.1, "load": [1.5, 1, 1]},
            {"node": "pve2", "status": "offline"},
        ],
        "storages": [
            {"storage": "local", "node": "pve1", "status": "available", "used": 5, "total": 10},
            {"storage": "gone", "node": "pve1", "status": "unknown"},
        ],
    }
    return REPORT.validate_python({**told, **fields})


def test_only_what_is_known_and_counts_is_kept() -> None:
    body = service.packed(report(), lambda node: node == "pve1")
    assert body is not None
    found = series.unpack(body)
    rows = {key: found.at(place) for place, key in enumerate(found.keys)}
    assert set(rows) == {"lxc/101", "node/pve1", "storage/pve1/local"}
    assert (rows["lxc/101"]["mem"], rows["node/pve1"]["load"], rows["storage/pve1/local"]["disk"]) == (7, 1.5, 5)
    assert service.packed(report(usage=[], node_usage=[], storages=[]), lambda _node: True) is None


def test_parts_of_one_reading_are_shown_as_one() -> None:
    one = service.packed(report(node_usage=[], storages=[]), lambda _node: True)
    two = service.packed(report(usage=[], storages=[]), lambda _node: True)
    both = service.latest(one, two)
    assert both is not None
    assert set(series.unpack(both).keys) == {"lxc/101", "lxc/102", "node/pve1"}
    assert service.latest(None, two) == two


def test_a_guests_last_hour_stands_beside_its_newest_reading() -> None:
    hour = {"until": 1, "points": 60, "cpu_mean": 0.25, "mem_max": 9}
    told = report(usage=[{"vmid": 101, "kind": "lxc", "node": "pve1", "status": "running", "cpu": 0.5, "hour": hour}])
    both = service.latest(service.packed(told, lambda _node: True), service.hours(told, lambda _node: True))
    assert both is not None
    found = series.unpack(both)
    row = found.at(list(found.keys).index("lxc/101"))
    assert (row["cpu"], row["hour_cpu_mean"], row["hour_mem_max"], row["hour_points"]) == (0.5, 0.25, 9, 60)


def test_the_same_reading_is_kept_once(database: Database) -> None:
    body = service.packed(report(), lambda _node: True)
    assert body is not None
    for _ in range(2):
        database.write_now(lambda tx: service.keep(tx, teams.DEFAULT, "s", "agent-1", 5, body))
    rows = database.read_now(lambda tx: list(store.between(tx, "s", {teams.DEFAULT}, 0, 10, 10)))
    assert [row.body for row in rows] == [body]
    assert database.read_now(lambda tx: list(store.between(tx, "s", {"team-other"}, 0, 10, 10))) == []
