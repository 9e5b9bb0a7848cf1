"""Starting and stopping guests over the API."""

import pytest

from nanny_ops.errors import MachineError
from nanny_ops.lab.pve.state.guest import Figures, Guest
from tests.unit.lab.pve.pretended import asking

LXC = "/nodes/pve1/lxc"


class Broken(Figures):
    """Nothing starts."""

    def start(self, guest: Guest) -> None:
        raise MachineError(f"no {guest.name}")


@pytest.mark.rows("PVE-29")
@pytest.mark.parametrize("why", ["lock", "quorum"])
def test_a_reboot_of_a_locked_container_or_without_quorum_leaves_it_stopped(why: str) -> None:
    asked = asking()
    if why == "lock":
        asked.api.cluster.update(101, lock="backup")
    else:
        asked.api.cluster.set_online("pve2", online=False)
    assert asked.task(f"{LXC}/101/status/reboot") == "startup for container '101' failed"
    assert asked.get(f"{LXC}/101/status/current")["status"] == "stopped"


@pytest.mark.rows("PVE-17")
def test_a_reboot_of_what_does_not_run_is_refused_at_once() -> None:
    assert asking().refusal("POST", f"{LXC}/103/status/reboot") == (500, "VM 103 not running")
    assert asking().task(f"{LXC}/101/status/reboot") == "OK"


@pytest.mark.rows("PVE-34")
def test_a_failed_start_leaves_the_lock_mounted_which_the_next_start_ignores() -> None:
    asked = asking()
    power, asked.api.cluster.power = asked.api.cluster.power, Broken(asked.api.clock)
    assert asked.task(f"{LXC}/103/status/start") == "startup for container '103' failed"
    assert asked.get(f"{LXC}/103/config")["lock"] == "mounted"
    asked.api.cluster.power = power
    assert asked.task(f"{LXC}/103/status/start") == "OK"


@pytest.mark.rows("PVE-18")
@pytest.mark.parametrize(("features", "exitstatus"), [("nesting=1", "OK"), ("keyctl=1", "WARNINGS: 1")])
def test_since_9_a_container_that_may_not_nest_starts_with_a_warning(features: str, exitstatus: str) -> None:
    asked = asking("9.2")
    asked.api.cluster.update(103, features=features)
    assert asked.task(f"{LXC}/103/status/start") == exitstatus


@pytest.mark.rows("PVE-16")
def test_only_root_itself_may_skip_a_lock() -> None:
    reply = asking().reply("POST", f"{LXC}/103/status/start?skiplock=1")
    assert reply.status == 400
    assert b"Only root may use this option." in reply.body


def test_a_guest_that_does_not_heed_a_shutdown_is_stopped_by_force_only() -> None:
    asked = asking()
    asked.api.cluster.guests[203].habits.heeds_shutdown = False
    path = "/nodes/pve1/qemu/203/status/shutdown?timeout=10"
    assert asked.task(path) == "VM quit/powerdown failed - got timeout"
    assert asked.get("/nodes/pve1/qemu/203/status/current")["status"] == "running"
    assert asked.task(f"{path}&forceStop=1") == "OK"
    assert asked.get("/nodes/pve1/qemu/203/status/current")["status"] == "stopped"


def test_a_container_cannot_be_suspended() -> None:
    text = "command 'lxc-checkpoint -n 101 -s -D /var/lib/vz/dump' failed: exit code 1"
    assert asking().task(f"{LXC}/101/status/suspend") == text


def test_what_waited_holds_after_a_start() -> None:
    asked = asking()
    asked.api.cluster.guests[103].pending["hostname"] = "other"
    asked.task(f"{LXC}/103/status/start")
    assert asked.get(f"{LXC}/103/status/current")["name"] == "other"


def test_a_machine_is_suspended_resumed_and_reset() -> None:
    asked = asking()
    path = "/nodes/pve1/qemu/203/status"
    assert asked.task(f"{path}/suspend") == "OK"
    found = asked.get(f"{path}/current")
    assert (found["status"], found["qmpstatus"]) == ("running", "paused")
    assert asked.task(f"{path}/resume") == "OK"
    assert asked.get(f"{path}/current")["qmpstatus"] == "running"
    assert asked.task(f"{path}/reset") == "OK"
    assert asked.task(f"{path}/suspend?todisk=1") == "the lab writes no machine to disk"
    assert asked.task(f"{path}/stop") == "OK"
    assert asked.task(f"{path}/resume") == "VM 203 not running"
