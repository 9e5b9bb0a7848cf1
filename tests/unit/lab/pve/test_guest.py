"""Calls about guests: what is refused at once, and what only the task tells."""

import pytest

from tests.unit.lab.pve.pretended import AUDITOR, LIMITED, asking


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


def test_without_privileges_the_403_comes_first() -> None:
    refusal = asking().refusal("GET", "/nodes/pve1/lxc/999/config", LIMITED)
    assert refusal == (403, "Permission check failed (/vms/999, VM.Audit)")


def test_an_auditor_may_not_start() -> None:
    refusal = asking().refusal("POST", "/nodes/pve1/lxc/103/status/start", AUDITOR)
    assert refusal == (403, "Permission check failed (/vms/103, VM.PowerMgmt)")


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
