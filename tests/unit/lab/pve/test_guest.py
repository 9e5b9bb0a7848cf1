"""Calls about guests: what is refused at once, and what only the task tells."""

import pytest

from tests.unit.lab.pve.pretended import AUDITOR, LIMITED, asking


@pytest.mark.rows("PVE-04")
@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/nodes/pve1/lxc/999/config", "nodes/pve1/lxc/999.conf"),
        ("/nodes/pve1/lxc/104/status/current", "nodes/pve1/lxc/104.conf"),
        ("/nodes/pve1/lxc/203/config", "nodes/pve1/lxc/203.conf"),
        ("/nodes/pve1/qemu/999/config", "nodes/pve1/qemu-server/999.conf"),
    ],
)
def test_a_guest_that_is_not_there_is_500(path: str, where: str) -> None:
    assert asking().refusal("GET", path) == (500, f"Configuration file '{where}' does not exist")


@pytest.mark.rows("PVE-04")
def test_without_privileges_the_403_comes_first() -> None:
    refusal = asking().refusal("GET", "/nodes/pve1/lxc/999/config", LIMITED)
    assert refusal == (403, "Permission check failed (/vms/999, VM.Audit)")


def test_an_auditor_may_not_start() -> None:
    refusal = asking().refusal("POST", "/nodes/pve1/lxc/103/status/start", AUDITOR)
    assert refusal == (403, "Permission check failed (/vms/103, VM.PowerMgmt)")


@pytest.mark.rows("PVE-17")
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("lxc/101/status/start", "CT 101 already running"),
        ("lxc/103/status/stop", "CT 103 not running"),
        ("lxc/103/status/shutdown", "CT 103 not running"),
        ("lxc/999/status/stop", "CT 999 not running"),
    ],
)
def test_what_is_refused_at_once(path: str, reason: str) -> None:
    assert asking().refusal("POST", f"/nodes/pve1/{path}") == (500, reason)


@pytest.mark.rows("PVE-17")
@pytest.mark.parametrize(
    ("path", "exitstatus"),
    [
        ("lxc/103/status/start", "OK"),
        ("lxc/101/status/stop", "OK"),
        ("lxc/105/status/start", "you can't start a CT if it's a template"),
        ("lxc/999/status/start", "Configuration file 'nodes/pve1/lxc/999.conf' does not exist"),
        ("lxc/104/status/start", "Configuration file 'nodes/pve1/lxc/104.conf' does not exist"),
        ("qemu/203/status/start", "VM 203 already running"),
        ("qemu/203/status/shutdown", "OK"),
    ],
)
def test_what_only_the_task_tells(path: str, exitstatus: str) -> None:
    assert asking().task(f"/nodes/pve1/{path}") == exitstatus


def test_a_lock_stops_the_task() -> None:
    asked = asking()
    asked.api.cluster.update(103, lock="backup")
    assert asked.task("/nodes/pve1/lxc/103/status/start") == "CT is locked (backup)"
    asked.api.cluster.update(101, lock="snapshot")
    assert asked.task("/nodes/pve1/lxc/101/status/shutdown") == "CT is locked (snapshot)"
    assert asked.get("/nodes/pve1/lxc/101/status/current")["lock"] == "snapshot"


@pytest.mark.rows("PVE-35")
def test_without_quorum_nothing_starts_and_everything_is_read() -> None:
    asked = asking()
    asked.api.cluster.set_online("pve2", online=False)
    assert asked.refusal("POST", "/nodes/pve1/lxc/103/status/start") == (500, "cluster not ready - no quorum?")
    assert asked.get("/nodes/pve1/lxc/101/status/current")["status"] == "running"


def test_power_shows_in_the_current_status() -> None:
    asked = asking()
    path = "/nodes/pve1/lxc/103/status/current"
    assert asked.get(path)["status"] == "stopped"
    assert asked.task("/nodes/pve1/lxc/103/status/start") == "OK"
    assert asked.get(path)["status"] == "running"
    assert asked.get(path)["pid"] > 0


@pytest.mark.rows("PVE-10")
def test_a_container_has_no_exec_and_its_interfaces_are_null_when_it_does_not_run() -> None:
    asked = asking()
    for path in ("/nodes/pve1/lxc/101/exec", "/nodes/pve1/lxc/101/agent/exec"):
        assert asked.refusal("POST", path) == (501, f"Method 'POST {path}' not implemented")
    assert asked.get("/nodes/pve1/lxc/103/interfaces") is None
    assert asked.get("/nodes/pve1/lxc/999/interfaces") is None
    eth0 = next(row for row in asked.get("/nodes/pve1/lxc/101/interfaces") if row["name"] == "eth0")
    assert "inet" not in eth0
    assert eth0["ip-addresses"][0]["prefix"] == "64"


@pytest.mark.rows("PVE-11")
def test_numbers_stand_for_booleans_and_what_is_false_is_absent() -> None:
    asked = asking()
    rows = {row["vmid"]: row for row in asked.get("/nodes/pve1/lxc")}
    assert (rows[105]["template"], rows[101]["tags"]) == (1, "prod;web")
    assert not {"template", "lock", "tags", "pid"} & rows[103].keys()
    orders = {tuple(row["vmid"] for row in asked.get("/nodes/pve1/lxc")) for _ in range(30)}
    assert len(orders) > 1


@pytest.mark.rows("PVE-12")
def test_a_container_in_a_directory_has_the_figures_of_its_nodes_file_system() -> None:
    asked = asking()
    node = asked.api.cluster.nodes["pve1"]
    for vmid in (101, 103):
        asked.api.cluster.update(vmid, rootfs=f"local:{vmid}/subvol-{vmid}-disk-0.subvol,size=0T")
    rows = {row["vmid"]: row for row in asked.get("/nodes/pve1/lxc")}
    assert (rows[101]["disk"], rows[101]["maxdisk"]) == (node.disk_used, node.disk)
    assert (rows[103]["disk"], rows[103]["maxdisk"]) == (0, node.disk)


@pytest.mark.rows("PVE-36")
def test_the_guests_of_a_dead_node_go_on_being_told_as_running() -> None:
    asked = asking()
    asked.api.cluster.power.start(asked.api.cluster.guests[104])
    asked.api.cluster.set_online("pve2", online=False)
    rows = {row["id"]: row for row in asked.get("/cluster/resources")}
    assert (rows["lxc/104"]["status"], rows["node/pve2"]["status"]) == ("running", "offline")
    assert asked.refusal("GET", "/nodes/pve2/lxc/104/status/current") == (595, "No route to host")
