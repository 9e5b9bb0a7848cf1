"""Snapshots are removed one after another: ours alone, each told, whatever goes wrong with the others."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.machine import prune
from nanny_ops.machine.procedure import access
from nanny_ops.machine.procedure.record import Record, Records
from nanny_ops.machine.prune_verbs import PruneOrder
from nanny_ops.machine.pruner import Pruner
from nanny_ops.machine.verbs import ProxmoxAccess
from nanny_ops.protocol.prune import Doomed
from nanny_ops.protocol.snapshot import description
from tests.fakes.guest_node import NODE, GuestNode
from tests.unit.machine.proxmox.recorded import Time

ACCESS = access.JobAccess(access=ProxmoxAccess(url="https://x:8006", token="a@b!c=d"), node=NODE)


class Bench:
    """A guest with two snapshots of ours, one of a person's and one that only looks like ours."""

    def __init__(self, folder: Path, node: GuestNode) -> None:
        self.folder, self.node, self.time = folder, node, Time()
        for name, text in (
            ("nanny-1", description("patch-1")),
            ("nanny-2", description("patch-2")),
            ("nanny-3", "mine"),
            ("before-upgrade", description("patch-1")),
        ):
            node.snapshots[name] = {
                "snaptime": 5,
                "description": text,
                "parent": "nanny-1" if name == "nanny-2" else "",
            }
        (folder / "jobs").mkdir()
        self.records = Records(folder / "jobs")
        access.write(folder / "jobs", ACCESS)

    def run(self, *names: str, maker: str = "", seconds: int = 600) -> tuple[str, str, dict[str, str]]:
        doomed = [Doomed(name=name, operation_id=maker or f"patch-{name[-1]}") for name in names]
        order = PruneOrder(prune_id="prune-1", kind="lxc", vmid=101, snapshots=doomed, timeout_seconds=seconds)
        directory = self.folder / "prunes" / "prune-1"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "order.json").write_text('{"order": {}, "begun_at": "2026-01-01T00:00:00Z"}')
        pruner = Pruner(directory, order, self.records, connect=lambda _: self.node, pace=self.time.pace)
        pruner.carry_out()
        told = {one.name: f"{one.outcome}: {one.reason}" for one in pruner.removals}
        result = prune._read(directory / "result.json")
        assert result is not None
        return result["outcome"], result["reason"], told


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, GuestNode())


@pytest.mark.rows("F6")
def test_ours_go_and_others_stay_and_children_are_told(bench: Bench) -> None:
    bench.records.add(Record(vmid=101, name="nanny-1", job_id="patch-1", made=5))
    outcome, _, told = bench.run("nanny-1", "nanny-2")
    assert outcome == "ok"
    assert told["nanny-1"] == "removed: nanny-2 came after it and stayed."
    assert set(bench.node.snapshots) == {"nanny-3", "before-upgrade"}
    assert bench.records.of(101) == []
    assert bench.run("nanny-1")[0] == "ok"  # what another process has written down is not asked again


@pytest.mark.parametrize(("name", "maker"), [("nanny-3", ""), ("nanny-1", "patch-7"), ("before-upgrade", "patch-1")])
def test_what_is_not_ours_by_its_own_word_is_refused(bench: Bench, name: str, maker: str) -> None:
    outcome, reason, told = bench.run(name, maker=maker)
    assert outcome == "refused"
    assert "left alone" in reason
    assert told[name].startswith("refused")
    assert len(bench.node.snapshots) == 4


def test_a_record_of_this_node_vouches_for_what_lost_its_description(bench: Bench) -> None:
    bench.records.add(Record(vmid=101, name="nanny-3", job_id="patch-3", made=5))
    assert bench.run("nanny-3")[0] == "ok"


def test_what_is_gone_already_is_no_failure(bench: Bench) -> None:
    outcome, _, told = bench.run("nanny-9")
    assert (outcome, told["nanny-9"]) == ("nothing_to_do", "gone: It was not there any more.")


@pytest.mark.rows("F6")
def test_one_that_fails_is_told_and_the_next_goes(bench: Bench) -> None:
    failing = iter(["zfs error: cannot destroy 'rpool/x@nanny-1': snapshot has dependent clones", ""])
    bench.node.before = lambda method, _path: (
        bench.node.faults.update(vzdelsnapshot=next(failing)) if method == "DELETE" else None
    )
    outcome, reason, told = bench.run("nanny-1", "nanny-2")
    assert (outcome, told["nanny-2"]) == ("partial", "removed: ")
    assert "linked clone" in told["nanny-1"]
    assert "1 of 2" in reason
    assert "nanny-1" in bench.node.snapshots


@pytest.mark.parametrize(
    ("change", "outcome", "says"),
    [
        ({"lock": "backup"}, "blocked", "locked (backup)"),
        ({"quorate": False}, "blocked", "no quorum"),
        ({"where": "pve2"}, "target_lost", "is on node pve2"),
        ({"where": ""}, "target_unknown", "knows no guest 101"),
        ({"faults": {"vzdelsnapshot": "got timeout"}}, "agent_error", "got timeout"),
    ],
)
def test_where_nothing_can_be_removed_the_cause_is_named(
    tmp_path: Path, change: dict[str, Any], outcome: str, says: str
) -> None:
    bench = Bench(tmp_path, replace(GuestNode(), **change))
    found, reason, told = bench.run("nanny-1", "nanny-2")
    assert found == outcome
    assert says in reason
    assert len(told) == 2
    assert len(bench.node.snapshots) == 4
    assert bench.time.now < 1000 + 900


def test_without_access_and_after_its_time_nothing_more_is_begun(bench: Bench) -> None:
    bench.node.before = lambda method, _path: bench.time.sleep(400) if method == "DELETE" else None
    outcome, _, told = bench.run("nanny-1", "nanny-2", seconds=300)
    assert outcome == "partial"
    assert told["nanny-2"].startswith("left: 300 s were over")
    access.write(bench.folder / "jobs", None)
    (bench.folder / "prunes" / "prune-1" / "result.json").unlink()
    assert bench.run("nanny-2")[0] == "no_proxmox"
