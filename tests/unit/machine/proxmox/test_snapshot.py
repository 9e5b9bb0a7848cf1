"""Snapshots: asked about first, followed to the end, waited for until the guest is free, and only ours are touched."""

import pytest

from nanny_ops import errors
from nanny_ops.machine.proxmox import snapshot
from nanny_ops.machine.proxmox.power import Guest
from tests.unit.machine.proxmox.recorded import Recorded, Time, changes, refused

SNAP = Guest("pve1", "lxc", 106)
ROWS = [
    {"name": "current", "description": "You are here!", "parent": "nanny-pre", "running": 1},
    {"name": "nanny-pre", "snaptime": 1795295800, "description": "before\n", "parent": "s1"},
    {"name": "s1", "snaptime": 1795295005},
]


def api(*names: str, possible: int = 1) -> Recorded:
    made = Recorded().say(f"{SNAP.path}/feature", {"hasFeature": possible})
    made.say(f"{SNAP.path}/status/current", {"status": "running", "uptime": 5}).say("nodes/pve1/tasks", [])
    made.say(f"{SNAP.path}/snapshot", ROWS)
    for name in names:
        made.give(name)
    return made


def test_the_list_is_in_order_and_without_the_present() -> None:
    found = snapshot.listing(api(), SNAP)
    assert [(each.name, each.own) for each in found] == [("s1", False), ("nanny-pre", True)]
    recorded = changes()["get_lxc_snapshot_list--with_snaps"]
    told = Recorded().say(f"{SNAP.path}/snapshot", recorded["answer"])
    assert [each.name for each in snapshot.listing(told, SNAP)] == ["s1", "pre_patch_1"]


@pytest.mark.rows("PVE-31")
def test_a_snapshot_is_made_under_our_name() -> None:
    made = api("post_lxc_snapshot--ok")
    found = snapshot.create(made, SNAP, "pre", "before the patch", pace=Time().pace)
    assert (found.name, found.made) == ("nanny-pre", 1795295800)
    assert made.calls[3][2] == {"snapname": "nanny-pre", "description": "before the patch"}


@pytest.mark.rows("PVE-31")
def test_a_storage_that_cannot_is_asked_and_not_tried() -> None:
    made = api(possible=0)
    with pytest.raises(errors.SnapshotImpossible):
        snapshot.create(made, SNAP, "pre", pace=Time().pace)
    assert made.made("POST") == []


@pytest.mark.rows("PVE-31")
@pytest.mark.parametrize("purpose", ["", "x" * 35, "a b", "a/b", "ä", "a\n"])
def test_a_name_that_proxmox_would_not_take_is_refused(purpose: str) -> None:
    with pytest.raises(errors.ValidationFailed):
        snapshot.name_for(purpose)


def test_a_snapshot_that_is_not_in_the_list_afterwards_was_not_made() -> None:
    made = api("post_lxc_snapshot--ok").say(f"{SNAP.path}/snapshot", ROWS[:1])
    with pytest.raises(errors.TaskFailed, match="has no snapshot nanny-pre"):
        snapshot.create(made, SNAP, "pre", pace=Time().pace)


@pytest.mark.rows("PVE-32")
def test_a_rollback_starts_the_guest_by_an_order_of_its_own() -> None:
    made = api()
    for path, name in (("snapshot/nanny-pre/rollback", "post_lxc_rollback--ok_start"), ("status/start", "")):
        entry = changes()[name or "post_lxc_start--ok"]
        made.give(name or "post_lxc_start--ok")
        made.say(f"{SNAP.path}/{path}", entry["answer"], method="POST")
    snapshot.rollback(made, SNAP, "nanny-pre", run_after=True, pace=Time().pace)
    assert made.made("POST") == [f"{SNAP.path}/snapshot/nanny-pre/rollback", f"{SNAP.path}/status/start"]
    assert [parameters for method, _, parameters in made.calls if method == "POST"] == [{}, {}]


@pytest.mark.rows("PVE-32")
def test_a_busy_guest_is_waited_for_before_and_after() -> None:
    time, made = Time(), api("post_lxc_snapshot--ok")
    free = {"status": "running"}
    made.say(f"{SNAP.path}/status/current", free | {"lock": "rollback"}, free, free | {"lock": "snapshot"}, free)
    snapshot.create(made, SNAP, "pre", pace=time.pace)
    assert time.slept.count(1.0) >= 2


@pytest.mark.parametrize("name", ["s1", "current", "vzdump", "nanny", "nanny-../x", "-nanny-"])
def test_what_is_not_ours_is_never_touched(name: str) -> None:
    made = api()
    for change in (
        lambda: snapshot.delete(made, SNAP, name),
        lambda: snapshot.rollback(made, SNAP, name, run_after=True),
    ):
        with pytest.raises(errors.ValidationFailed):
            change()
    assert made.calls == []


def test_a_snapshot_that_is_gone_already_is_deleted() -> None:
    made, entry = api("delete_qemu_snapshot"), changes()["delete_qemu_snapshot"]
    made.say(f"{SNAP.path}/snapshot/nanny-s1", entry["answer"], method="DELETE")
    snapshot.delete(made, SNAP, "nanny-s1", pace=Time().pace)


@pytest.mark.rows("PVE-32")
def test_a_delete_beside_another_task_is_told_as_busy() -> None:
    made, entry = api("delete_lxc_snapshot--ok"), changes()["delete_lxc_snapshot--ok"]
    made.say(f"{SNAP.path}/snapshot/nanny-s1", entry["answer"], method="DELETE")
    with pytest.raises(errors.GuestLocked, match="another task"):
        snapshot.delete(made, SNAP, "nanny-s1", pace=Time().pace)


def test_a_missing_privilege_is_named() -> None:
    made = api().say(
        f"{SNAP.path}/snapshot", refused(403, "Permission check failed (/vms/106, VM.Snapshot)"), method="POST"
    )
    with pytest.raises(errors.ProxmoxForbidden, match=r"lacks VM\.Snapshot on /vms/106"):
        snapshot.create(made, SNAP, "pre", pace=Time().pace)
