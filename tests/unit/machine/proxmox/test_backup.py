"""Backups: made in which mode, where they lie, and how a silent freeze is found out."""

import pytest

from nanny_ops import errors
from nanny_ops.machine.proxmox import backup
from nanny_ops.machine.proxmox.power import Guest
from tests.unit.machine.proxmox.recorded import Recorded, Time, changes

WEB, SNAP = Guest("pve1", "lxc", 101), Guest("pve1", "lxc", 106)
FALLBACK, GOOD = "post_vzdump--snapshot_dir_running_fallback", "post_vzdump--snapshot_btrfs_running"


def api(name: str, guest: Guest, *, possible: int = 1, looks: int = 2) -> Recorded:
    made = Recorded(looks=looks).say(f"{guest.path}/feature", {"hasFeature": possible})
    made.say(f"{guest.path}/status/current", {"status": "running"}).say("nodes/pve1/tasks", [])
    return made.give(name)


def test_a_backup_tells_where_it_lies() -> None:
    made = backup.dump(api(GOOD, SNAP), SNAP, "local", pace=Time().pace)
    assert (made.mode, made.fell_back, made.frozen) == ("snapshot", False, False)
    assert made.archive == "/var/lib/vz/dump/vzdump-lxc-106-2026_11_21-21_17_36.tar.zst"


@pytest.mark.rows("PVE-33")
def test_the_silent_fall_back_is_read_from_the_log() -> None:
    made = backup.dump(api(FALLBACK, WEB), WEB, "local", may_freeze=True, pace=Time().pace)
    assert (made.asked, made.mode, made.fell_back, made.frozen) == ("snapshot", "suspend", True, True)


@pytest.mark.rows("PVE-33")
def test_a_guest_that_would_be_frozen_is_not_backed_up() -> None:
    made = api(FALLBACK, WEB, possible=0)
    with pytest.raises(errors.BackupFreezes):
        backup.dump(made, WEB, "local", pace=Time().pace)
    assert made.made("POST") == []


@pytest.mark.rows("PVE-33")
def test_a_fall_back_that_shows_only_in_the_log_is_aborted() -> None:
    made = api(FALLBACK, WEB, looks=50)
    changes_early = made.answers["POST", "nodes/pve1/vzdump"]
    changes_early["early"] = changes()[FALLBACK]["log"].index("INFO: trying 'suspend' mode instead") + 1
    with pytest.raises(errors.BackupFreezes, match="'suspend'"):
        backup.dump(made, WEB, "local", pace=Time().pace)
    assert len(made.made("DELETE")) == 1


def test_a_failure_tells_vzdumps_own_reason() -> None:
    guest = Guest("pve1", "lxc", 103)
    with pytest.raises(errors.TaskFailed, match=r"failed: CT is locked \(backup\)"):
        backup.dump(api("post_vzdump--locked", guest), guest, "local", mode="stop", pace=Time().pace)
