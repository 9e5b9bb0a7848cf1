"""Tasks are followed to their true end, as real ones ended."""

import pytest

from nanny_ops import errors
from nanny_ops.machine.proxmox import task
from nanny_ops.machine.proxmox.task import Upid, abort, follow, succeeded
from tests.unit.machine.proxmox.recorded import Recorded, Time, changes, refused


def begun(api: Recorded, name: str, version: str = "8.4") -> Upid:
    entry = changes(version)[name]
    api.give(name, version)
    return Upid.parse(api.post(entry["path"]) if entry["method"] == "POST" else api.delete(entry["path"]))


def test_a_upid_tells_node_kind_and_guest() -> None:
    upid = Upid.parse("UPID:pve-2:00000EE5:00048C9D:6B020A36:vzstart:104:root@pam!rig:")
    assert (upid.node, upid.kind, upid.about, upid.user) == ("pve-2", "vzstart", "104", "root@pam!rig")
    assert upid.started == 1795295798
    assert Upid.parse("UPID:pve1:00002A99:100048A5C:6B020A30:aptupdate::root@pam:").about == ""


@pytest.mark.parametrize("text", [None, "", "null", "UPID:a:b", {"pid": 1}, "UPID:pve1:0:0:0:x:y:z:/../status"])
def test_anything_else_is_no_upid(text: object) -> None:
    with pytest.raises(errors.ProxmoxError, match="began no task"):
        Upid.parse(text)


@pytest.mark.rows("PVE-17", "PVE-18")
def test_a_task_is_over_when_its_status_says_so() -> None:
    api, time = Recorded(looks=3), Time()
    end = follow(api, begun(api, "post_lxc_start--ok"), 60, pace=time.pace)
    assert (end.warnings, end.log) == (0, ["TASK OK"])
    assert len(time.slept) == 3
    assert time.slept == sorted(time.slept)


@pytest.mark.rows("PVE-18")
def test_warnings_are_success_and_are_counted() -> None:
    api = Recorded()
    end = follow(api, begun(api, "post_lxc_start--ok", "9.2"), 60, pace=Time().pace)
    assert end.warnings == 1
    assert end.log[0].startswith("WARN: Systemd 252 detected.")


@pytest.mark.parametrize("text", ["", "job errors", "WARNINGS: ", "WARNINGS: 1 or so", "unexpected status", "ok"])
def test_nothing_else_is_success(text: str) -> None:
    assert not succeeded(text)


@pytest.mark.rows("PVE-17", "PVE-18")
@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("post_lxc_start--template", errors.TaskFailed, "you can't start a CT if it's a template"),
        ("post_lxc_start--locked", errors.GuestLocked, "locked (backup)"),
        ("post_lxc_snapshot--dir_not_available", errors.SnapshotImpossible, "cannot make snapshots"),
        ("post_vzdump--locked", errors.TaskFailed, "job errors"),
        ("noquorum_post_snapshot_106", errors.NoQuorum, "no quorum"),
    ],
)
def test_an_answer_200_is_no_success(name: str, error: type[errors.ProxmoxError], said: str) -> None:
    api = Recorded()
    with pytest.raises(errors.ProxmoxError, match=r".") as failed:
        follow(api, begun(api, name), 60, pace=Time().pace)
    assert type(failed.value) is error
    assert said in failed.value.message
    assert failed.value.details["log"][-1].startswith("TASK ERROR: ")


def test_a_task_that_does_not_end_is_told_at_the_deadline() -> None:
    api, time = Recorded(looks=10_000), Time()
    with pytest.raises(errors.TaskUnfinished, match="after 30 s"):
        follow(api, begun(api, "post_lxc_start--ok"), 30, pace=time.pace)
    assert time.now == pytest.approx(1030)
    assert max(time.slept) <= task.LONGEST_PAUSE


def test_a_node_that_is_away_for_a_while_is_asked_again() -> None:
    away = [refused(595, "Connection refused"), refused(596, "Broken pipe")]
    api = Recorded()
    upid = begun(api, "post_lxc_start--ok")

    def before(_method: str, path: str) -> None:
        if path.endswith("/status") and away:
            raise away.pop()

    api.before = before
    assert follow(api, upid, 60, pace=Time().pace).upid == upid


@pytest.mark.rows("PVE-19")
def test_a_task_that_the_node_does_not_know_is_lost() -> None:
    api = Recorded()
    upid = begun(api, "post_lxc_start--ok")
    api.before = lambda _method, path: (_ for _ in ()).throw(refused(400, "Parameter verification failed."))
    with pytest.raises(errors.TaskLost):
        follow(api, upid, 60, pace=Time().pace)


@pytest.mark.rows("PVE-19")
def test_the_node_in_the_upid_is_asked() -> None:
    upid = Upid.parse("UPID:pve2:00000EE5:00048C9D:6B020A36:vzstart:104:root@pam!rig:")
    assert upid.path == "nodes/pve2/tasks/UPID:pve2:00000EE5:00048C9D:6B020A36:vzstart:104:root@pam!rig:"


@pytest.mark.rows("PVE-19")
def test_an_aborted_task_ends_badly_and_that_is_no_error() -> None:
    api = Recorded(looks=10_000)
    upid = begun(api, "post_vzdump--locked")
    assert abort(api, upid, pace=Time().pace) == "job errors"
    assert api.made("DELETE") == [upid.path]


def test_a_log_is_read_in_pages() -> None:
    api = Recorded(looks=0)
    upid = begun(api, "post_vzdump--snapshot_btrfs_running")
    assert task.log(api, upid)[-1] == "TASK OK"
    long = [{"n": n, "t": f"line {n}"} for n in range(1, task.PAGE + 1)]
    other = Recorded().say(f"{upid.path}/log", long, long[:3])
    assert len(task.log(other, upid)) == task.PAGE + 3


def test_a_log_that_cannot_be_read_changes_nothing() -> None:
    api = Recorded()
    upid = begun(api, "post_lxc_start--ok")

    def before(_method: str, path: str) -> None:
        if path.endswith("/log"):
            raise refused(595, "Connection refused")

    api.before = before
    assert follow(api, upid, 60, pace=Time().pace).log[0].startswith("(the log could not be read")


def test_watching_may_end_the_waiting() -> None:
    api = Recorded(looks=10_000)
    upid = begun(api, "post_lxc_start--ok")
    with pytest.raises(errors.BackupFreezes):
        follow(api, upid, 60, pace=Time().pace, watch=lambda: (_ for _ in ()).throw(errors.BackupFreezes()))
