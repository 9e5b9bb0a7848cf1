"""Required protection that cannot be had ends the job before its script; only what our records name is removed."""

from dataclasses import replace
from pathlib import Path

import pytest

from nanny_ops.machine.plan import Plan
from nanny_ops.machine.procedure import protection
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.machine.procedure.record import Record
from nanny_ops.machine.procedure.scene import Skip
from nanny_ops.protocol.operation import Outcome
from tests.fakes.guest_node import GuestNode
from tests.unit.machine.procedure.stage import Play

SNAPSHOT, BACKUP = Plan(protect="require-snapshot"), Plan(protect="require-backup", backup_max_age_hours=24)
FRESH = {"volid": "store:b", "vmid": 101, "size": 5, "ctime": 1_795_295_800 - 3600}


@pytest.mark.rows("F6")
def test_a_snapshot_is_written_down_before_it_is_asked_for(tmp_path: Path) -> None:
    play = Play(tmp_path, SNAPSHOT)
    scene = play.scene()
    known: list[int] = []
    play.node.before = lambda method, path: known.append(len(scene.records.of(101))) if method == "POST" else None
    assert "was made" in protection.protect(scene)
    assert known == [1]
    (name,) = play.node.snapshots
    assert name.startswith("nanny-20261121")
    assert scene.records.of(101)[0].name == name == scene.journal.facts["snapshot"]
    assert "op-1" in play.node.snapshots[name]["description"]
    told = protection.told(scene)
    assert told is not None
    assert (told.kind, told.name, told.kept) == ("snapshot", name, True)


@pytest.mark.rows("F5")
@pytest.mark.parametrize(
    ("plan", "node", "host", "says"),
    [
        (SNAPSHOT, GuestNode(can_snapshot=False, conf={"mp0": "/srv/data,mp=/data"}), False, "mp0"),
        (SNAPSHOT, GuestNode(avail=1 << 20), False, "1 MiB left"),
        (SNAPSHOT, GuestNode(faults={"vzsnapshot": "lvcreate failed"}), False, "lvcreate failed"),
        (SNAPSHOT, GuestNode(), True, "host"),
        (BACKUP, GuestNode(), False, "no backup of the last 24 hours"),
        (BACKUP, GuestNode(backups=[{**FRESH, "ctime": 1}]), False, "no backup"),
        (BACKUP, GuestNode(backups=[{**FRESH, "size": 0}]), False, "no backup"),
        (BACKUP, GuestNode(backups=[{**FRESH, "verification": {"state": "failed"}}]), False, "no backup"),
        (replace(BACKUP, backup_storage="store"), GuestNode(faults={"vzdump": "job errors"}), False, "backup of"),
    ],
)
def test_what_is_required_and_cannot_be_had_stops_the_job(
    tmp_path: Path, plan: Plan, node: GuestNode, host: bool, says: str
) -> None:
    play = Play(tmp_path, plan, node, host=host)
    with pytest.raises(Halt, match=says) as caught:
        protection.protect(play.scene())
    assert caught.value.problem.outcome is Outcome.UNPROTECTED


@pytest.mark.rows("F5")
@pytest.mark.parametrize(("node", "api"), [(GuestNode(can_snapshot=False), True), (GuestNode(), False)])
def test_what_is_preferred_and_cannot_be_had_is_told(tmp_path: Path, node: GuestNode, api: bool) -> None:
    scene = Play(tmp_path, Plan(protect="prefer-snapshot"), node, api=api).scene()
    with pytest.raises(Skip):
        protection.protect(scene)
    told = protection.told(scene)
    assert told is not None
    assert told.kind == "none"
    assert told.why_not in scene.notes[0]


def test_a_young_backup_is_enough_and_an_old_one_is_made_anew(tmp_path: Path) -> None:
    scene = Play(tmp_path, BACKUP, GuestNode(backups=[FRESH])).scene()
    assert "young enough" in protection.protect(scene)
    play = Play(tmp_path / "2", replace(BACKUP, backup_storage="store"))
    assert "was made" in protection.protect(play.scene())
    assert ("POST", "nodes/pve1/vzdump") in play.node.calls


@pytest.mark.rows("F6")
def test_stale_snapshots_go_by_age_and_count_and_strangers_stay(tmp_path: Path) -> None:
    play = Play(tmp_path, replace(SNAPSHOT, keep_snapshots=2, keep_snapshot_hours=24))
    scene, now = play.scene(), play.time.now
    for name, hours in (("nanny-old", 30), ("nanny-mid", 3), ("nanny-new", 2), ("nanny-gone", 1)):
        scene.records.add(Record(vmid=101, name=name, job_id="other", made=now - hours * 3600))
    for name in ("nanny-old", "nanny-mid", "nanny-new", "nanny-stray", "mine"):
        play.node.snapshots[name] = {"snaptime": int(now), "description": ""}
    protection.protect(scene)
    assert "2 snapshots were removed" in protection.release(scene, needless=False)
    assert {"nanny-new", "nanny-stray", "mine", scene.journal.facts["snapshot"]} == set(play.node.snapshots)
    assert scene.journal.facts["strays"] == ["nanny-stray"]
    assert "nanny-gone" not in [record.name for record in scene.records.of(101)]


@pytest.mark.rows("F6")
def test_a_snapshot_that_may_be_half_made_keeps_its_record(tmp_path: Path) -> None:
    play = Play(tmp_path, SNAPSHOT, GuestNode(faults={"vzsnapshot": "got timeout"}))
    scene = play.scene()
    with pytest.raises(Halt):
        protection.protect(scene)
    assert len(scene.records.of(101)) == 1
