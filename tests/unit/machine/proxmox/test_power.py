"""Power orders end where the guest is as it was asked to be, and reboots are refused where they would leave it off."""

from typing import Any

import pytest

from nanny_ops import errors
from nanny_ops.machine.proxmox import power
from nanny_ops.machine.proxmox.power import Guest
from tests.unit.machine.proxmox.recorded import Recorded, Time, refused

BATCH, WEB = Guest("pve1", "lxc", 103), Guest("pve1", "lxc", 101)
VM = Guest("pve1", "qemu", 203)
QUORATE = [{"type": "cluster", "quorate": 1}, {"type": "node", "name": "pve1"}]
RUNS: dict[str, Any] = {"status": "running", "uptime": 130}
STOPPED: dict[str, Any] = {"status": "stopped", "uptime": 0}


def api(*names: str, now: list[dict[str, Any]], guest: Guest = BATCH, version: str = "8.4") -> Recorded:
    made = Recorded().say(f"{guest.path}/status/current", *now).say("cluster/status", QUORATE)
    for name in names:
        made.give(name, version)
    return made


def test_start_ends_with_a_guest_that_runs() -> None:
    made = api("post_lxc_start--ok", now=[RUNS])
    end = power.start(made, BATCH, pace=Time().pace)
    assert end is not None
    assert made.made("POST") == ["nodes/pve1/lxc/103/status/start"]


def test_start_of_a_running_guest_is_no_error() -> None:
    assert power.start(api("post_lxc_start--already_running", now=[RUNS]), BATCH, pace=Time().pace) is None
    assert power.start(api("post_qemu_start--running", now=[RUNS], guest=VM), VM, pace=Time().pace) is None


@pytest.mark.rows("PVE-17")
def test_a_start_that_ends_well_and_leaves_it_stopped_has_failed() -> None:
    with pytest.raises(errors.TaskFailed, match="is stopped"):
        power.start(api("post_lxc_start--ok", now=[STOPPED]), BATCH, pace=Time().pace)


@pytest.mark.rows("PVE-35")
def test_without_quorum_nothing_starts() -> None:
    with pytest.raises(errors.NoQuorum):
        power.start(api("noquorum_post_start_103", now=[STOPPED]), BATCH, pace=Time().pace)


def test_stop_of_a_stopped_guest_is_no_error() -> None:
    assert power.stop(api("post_lxc_stop--not_running", now=[STOPPED]), BATCH, pace=Time().pace) is None


def test_shutdown_that_does_not_end_is_told() -> None:
    made = api("post_qemu_shutdown--agent", now=[RUNS], guest=VM)
    with pytest.raises(errors.TaskFailed, match="got timeout"):
        power.shutdown(made, VM, timeout=10, pace=Time().pace)
    assert made.calls[0][2] == {"timeout": 10, "forceStop": 0}


def test_a_reboot_ends_with_a_guest_that_runs_anew() -> None:
    made = api("post_lxc_reboot--ok", now=[RUNS, RUNS, {"status": "running", "uptime": 1}], guest=WEB)
    assert power.reboot(made, WEB, pace=Time().pace).log == ["TASK OK"]


def test_a_reboot_that_changed_nothing_is_told() -> None:
    made = api("post_lxc_reboot--ok", now=[RUNS, RUNS, {"status": "running", "uptime": 131}], guest=WEB)
    with pytest.raises(errors.TaskFailed, match="not rebooted"):
        power.reboot(made, WEB, pace=Time().pace)


@pytest.mark.rows("PVE-29")
@pytest.mark.parametrize(
    ("now", "cluster", "error"),
    [
        (RUNS | {"lock": "backup"}, QUORATE, errors.GuestLocked),
        (STOPPED, QUORATE, errors.GuestStopped),
        (RUNS, [{"type": "cluster", "quorate": 0}], errors.NoQuorum),
    ],
    ids=["locked", "stopped", "no quorum"],
)
def test_what_would_stay_stopped_is_never_rebooted(now: dict[str, Any], cluster: Any, error: type[Exception]) -> None:
    made = api("post_lxc_reboot--ok", now=[now], guest=WEB).say("cluster/status", cluster)
    with pytest.raises(error):
        power.reboot(made, WEB, pace=Time().pace)
    assert made.made("POST") == []


def test_a_standalone_node_needs_no_quorum() -> None:
    made = api("post_lxc_reboot--ok", now=[RUNS, RUNS, {"status": "running", "uptime": 0}], guest=WEB)
    made.say("cluster/status", [{"type": "node", "name": "pve1"}])
    assert power.reboot(made, WEB, pace=Time().pace)


@pytest.mark.rows("PVE-29")
def test_a_guest_that_did_not_come_back_is_told() -> None:
    made = api(now=[RUNS, RUNS, STOPPED], guest=WEB)
    made.say(f"{WEB.path}/status/reboot", refused(500, "startup for container '101' failed"), method="POST")
    with pytest.raises(errors.GuestLeftStopped, match="did not start again"):
        power.reboot(made, WEB, pace=Time().pace)


def test_a_guest_is_idle_without_lock_and_without_task() -> None:
    time, tasks = Time(), f"nodes/{WEB.node}/tasks"
    made = api(now=[RUNS | {"lock": "snapshot"}, RUNS], guest=WEB)
    made.say(tasks, [{"id": "101", "type": "vzstart", "status": "RUNNING"}], [{"id": "7", "type": "vzdump"}])
    power.await_idle(made, WEB, 60, pace=time.pace)
    assert time.slept == [power.PAUSE] * 2


def test_a_guest_that_stays_busy_is_told() -> None:
    made = api(now=[RUNS | {"lock": "backup"}], guest=WEB)
    with pytest.raises(errors.GuestLocked, match=r"locked \(backup\)"):
        power.await_idle(made, WEB, 5, pace=Time().pace)
