"""Backups, and starting and stopping all guests of a node."""

import json

import pytest

from nanny_ops.lab.pve.state.storage import Storage
from nanny_ops.lab.pve.state.task import Interrupted
from tests.unit.lab.pve.pretended import AUDITOR, Asking, asking


def log(asked: Asking, path: str) -> list[str]:
    upid = json.loads(asked.reply("POST", path).body)["data"]
    return asked.api.tasks.find("pve1", upid).log()


@pytest.mark.rows("PVE-33")
@pytest.mark.parametrize(("storage", "mode"), [("dir", "suspend"), ("btrfs", "snapshot")])
def test_without_snapshots_a_backup_suspends_without_a_word(storage: str, mode: str) -> None:
    asked = asking()
    asked.api.cluster.storages["other"] = Storage("other", storage)
    asked.api.cluster.update(101, rootfs="other:101/vm-101-disk-0.raw,size=4G")
    lines = log(asked, "/nodes/pve1/vzdump?vmid=101&mode=snapshot&compress=zstd")
    assert f"INFO: backup mode: {mode}" in lines
    assert ("INFO: trying 'suspend' mode instead" in lines) is (mode == "suspend")
    assert lines[-2:] == ["INFO: Backup job finished successfully", "TASK OK"]
    (made,) = asked.api.cluster.storages["local"].volumes["pve1"]
    assert (made.content, made.vmid, made.volid.endswith(".tar.zst")) == ("backup", 101, True)
    assert asked.api.cluster.guests[101].lock == ""


@pytest.mark.rows("PVE-34")
def test_a_lock_of_any_kind_fails_a_backup() -> None:
    asked = asking()
    asked.api.cluster.update(103, lock="mounted")
    lines = log(asked, "/nodes/pve1/vzdump?vmid=103&mode=stop")
    assert "ERROR: Backup of VM 103 failed - CT is locked (mounted)" in lines
    assert lines[-1] == "TASK ERROR: job errors"


def test_what_is_not_there_fails_and_the_others_are_backed_up() -> None:
    asked = asking()
    lines = log(asked, "/nodes/pve1/vzdump?vmid=999,203")
    assert "ERROR: Backup of VM 999 failed - unable to find VM '999'" in lines
    assert [volume.vmid for volume in asked.api.cluster.storages["local"].volumes["pve1"]] == [203]
    assert lines[-1] == "TASK ERROR: job errors"


@pytest.mark.rows("PVE-19")
def test_an_aborted_backup_ends_as_job_errors_and_leaves_no_lock() -> None:
    class Cut:
        factor = 1.0

        def wait(self, seconds: float, interrupted: object) -> None:
            raise Interrupted

    asked = asking()
    asked.api.tasks.pace = Cut()
    lines = log(asked, "/nodes/pve1/vzdump?vmid=101&mode=suspend")
    assert [line for line in lines if line.endswith("failed: interrupted by signal")]
    assert lines[-1] == "TASK ERROR: job errors"
    assert asked.api.cluster.guests[101].lock == ""


def test_a_backup_needs_a_privilege_and_a_storage() -> None:
    refusal = asking().refusal("POST", "/nodes/pve1/vzdump?vmid=101", AUDITOR)
    assert refusal == (403, "Permission check failed (/vms/101, VM.Backup)")
    assert asking().refusal("POST", "/nodes/pve1/vzdump?vmid=101&storage=no-such")[0] == 500


def test_all_are_backed_up_but_those_excluded() -> None:
    asked = asking()
    log(asked, "/nodes/pve1/vzdump?all=1&exclude=203,105")
    assert [volume.vmid for volume in asked.api.cluster.storages["local"].volumes["pve1"]] == [101, 103]


def test_all_guests_stop_and_those_that_start_with_their_node_start() -> None:
    asked = asking()
    stopped = log(asked, "/nodes/pve1/stopall")
    assert stopped[:2] == ["Stopping CT 101 (timeout = 180 seconds)", "Stopping VM 203 (timeout = 180 seconds)"]
    asked.api.cluster.update(203, onboot=1)
    assert log(asked, "/nodes/pve1/startall") == ["Starting VM 203", "TASK OK"]
    assert log(asked, "/nodes/pve1/startall?force=1&vms=103") == ["Starting CT 103", "TASK OK"]
    refusal = asking().refusal("POST", "/nodes/pve1/startall", AUDITOR)
    assert refusal == (403, "Permission check failed (/, VM.PowerMgmt)")


def test_a_locked_guest_is_neither_started_nor_stopped_with_the_others() -> None:
    asked = asking()
    asked.api.cluster.update(101, lock="backup")
    assert "Stopping CT 101 failed: CT is locked (backup)" in log(asked, "/nodes/pve1/stopall")
    asked.api.cluster.update(103, lock="backup")
    assert log(asked, "/nodes/pve1/startall?force=1&vms=103")[1:] == [
        "Starting CT 103 failed: CT is locked (backup)",
        "TASK OK",
    ]
