"""Snapshots of guests."""

import json
from typing import Any

import pytest

from nanny_ops.lab.pve.state.storage import Storage
from tests.unit.lab.pve.pretended import NOW, Asking, asking

PATH = "/nodes/pve1/lxc/101/snapshot"


def with_btrfs() -> Asking:
    asked = asking()
    asked.api.cluster.storages["btr"] = Storage("btr", "btrfs")
    asked.api.cluster.update(101, rootfs="btr:101/vm-101-disk-0.raw,size=4G")
    return asked


def take(asked: Asking, name: str = "s1", description: str = "before") -> str:
    return asked.task(f"{PATH}?snapname={name}&description={description}")


def names(asked: Asking) -> dict[str, Any]:
    return {row["name"]: row for row in asked.get(PATH)}


@pytest.mark.rows("PVE-31")
def test_the_list_always_holds_current() -> None:
    (row,) = asking().get(PATH)
    assert (row["name"], row["running"], "snaptime" in row) == ("current", 1, False)


@pytest.mark.rows("PVE-31")
def test_a_directory_cannot_and_says_so_in_the_task() -> None:
    assert asking().get("/nodes/pve1/lxc/101/feature?feature=snapshot") == {"hasFeature": 0}
    assert take(asking()) == "snapshot feature is not available"


@pytest.mark.rows("PVE-31")
def test_a_snapshot_is_taken_shown_described_and_deleted() -> None:
    asked = with_btrfs()
    assert asked.get("/nodes/pve1/lxc/101/feature?feature=snapshot") == {"hasFeature": 1}
    assert [take(asked), take(asked)] == ["OK", "snapshot name 's1' already used"]
    found = names(asked)
    assert (found["s1"]["description"], found["s1"]["snaptime"]) == ("before\n", int(NOW))
    assert found["current"]["parent"] == "s1"
    assert asked.get(f"{PATH}/s1") == [{"cmd": "rollback"}, {"cmd": "config"}]
    asked.reply("PUT", f"{PATH}/s1/config?description=after")
    assert asked.get(f"{PATH}/s1/config")["description"] == "after\n"
    assert asked.task(f"{PATH}/s1", method="DELETE") == "OK"
    assert set(names(asked)) == {"current"}
    assert asked.task(f"{PATH}/s1", method="DELETE") == "snapshot 's1' does not exist"
    assert asked.refusal("GET", f"{PATH}/s1/config") == (500, "snapshot 's1' does not exist")


@pytest.mark.rows("PVE-31")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("current", "unable to use snapshot name 'current' (reserved name)"),
        ("vzdump", "unable to use snapshot name 'vzdump' (reserved name)"),
        ("1bad", "Parameter verification failed."),
        ("a", "Parameter verification failed."),
    ],
)
def test_names_have_rules(name: str, reason: str) -> None:
    assert asking().refusal("POST", f"{PATH}?snapname={name}")[1] == reason


def test_a_deleted_snapshots_children_come_after_its_parent() -> None:
    asked = with_btrfs()
    assert [take(asked, name) for name in ("s1", "s2", "s3")] == ["OK"] * 3
    assert asked.task(f"{PATH}/s2", method="DELETE") == "OK"
    found = names(asked)
    assert ("parent" in found["s1"], found["s3"]["parent"]) == (False, "s1")


def test_rollback_brings_the_configuration_back_and_stops_the_guest() -> None:
    asked = with_btrfs()
    assert take(asked) == "OK"
    asked.api.cluster.update(101, memory=1024)
    assert asked.task(f"{PATH}/s1/rollback") == "OK"
    assert asked.get("/nodes/pve1/lxc/101/config")["memory"] == 512
    assert asked.get("/nodes/pve1/lxc/101/status/current")["status"] == "stopped"


@pytest.mark.rows("PVE-32")
def test_after_a_rollback_with_a_start_the_guest_is_busy_for_a_while() -> None:
    now = [NOW]
    asked = with_btrfs()
    asked.api.clock = lambda: now[0]
    assert take(asked) == "OK"
    assert asked.task(f"{PATH}/s1/rollback?start=1") == "OK"
    assert asked.get("/nodes/pve1/lxc/101/status/current")["status"] == "running"
    held = "can't lock file '/var/lock/pve-manager/pve-migrate-101' - got timeout"
    assert asked.task(f"{PATH}/s1/rollback") == held
    busy = "Failed to obtain guest migration lock - replication running?"
    assert asked.task(f"{PATH}/s1", method="DELETE") == busy
    now[0] += 46
    assert asked.task(f"{PATH}/s1", method="DELETE") == "OK"


@pytest.mark.rows("PVE-35")
def test_without_quorum_the_lock_cannot_be_written() -> None:
    asked = with_btrfs()
    asked.api.cluster.set_online("pve2", online=False)
    upid = json.loads(asked.reply("POST", f"{PATH}?snapname=qq").body)["data"]
    pid = int(upid.split(":")[2], 16)
    text = f"unable to open file '/etc/pve/nodes/pve1/lxc/101.conf.tmp.{pid}' - Permission denied"
    assert asked.get(f"/nodes/pve1/tasks/{upid}/status")["exitstatus"] == text
    assert "lock" not in asked.get("/nodes/pve1/lxc/101/config")


@pytest.mark.parametrize(
    ("settings", "text"),
    [({"lock": "backup"}, "CT is locked (backup)"), ({"template": 1}, "you can't take a snapshot if it's a template")],
)
def test_what_forbids_a_snapshot(settings: dict[str, Any], text: str) -> None:
    asked = with_btrfs()
    asked.api.cluster.update(101, **settings)
    assert take(asked) == text


def test_a_machine_that_cannot_save_its_state_keeps_no_lock() -> None:
    asked = asking()
    path = "/nodes/pve1/qemu/203/snapshot"
    assert asked.task(f"{path}?snapname=s0") == "OK"
    asked.api.cluster.guests[203].habits.saves_state = False
    failed = asked.task(f"{path}?snapname=s1")
    assert failed == "VM 203 qmp command 'savevm-start' failed - The command savevm-start has not been found "
    assert {row["name"]: row.get("vmstate") for row in asked.get(path)} == {"s0": 0, "current": None}
    assert asked.api.cluster.guests[203].lock == ""
