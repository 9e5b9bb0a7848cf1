"""A removal is begun once, followed by another process where one was killed, and forgotten when it was told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nanny_ops.errors import MachineError, VerbRefused
from nanny_ops.machine import carrier, prune
from nanny_ops.machine.prune import TRIES, perform_prune
from nanny_ops.machine.prune_verbs import ForgetPrune, LookPrune, PruneOrder, PrunePhase, PruneState, StartPrune
from nanny_ops.machine.run import Done
from nanny_ops.protocol.prune import Doomed, Removal

ORDER = PruneOrder(
    prune_id="prune-1", kind="lxc", vmid=101, snapshots=[Doomed(name="nanny-1", operation_id="patch-1")],
    timeout_seconds=60, claim="c",
)  # fmt: skip
GONE = Removal(name="nanny-1", outcome="removed", upid="UPID")


def test_its_unit_is_called_as_no_other_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(carrier, "outlive", lambda _module, _folder, name, _seconds: begun.append(name))
    prune.launch(tmp_path, replace(ORDER, prune_id="job-7"))
    assert [name.rpartition("-")[0] for name in begun] == ["nanny-prune-job-7"]


class Bench:
    """Removals whose processes do what a test says."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.launched, self.code = folder / "prunes", 0, 0
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def launch(self, directory: Path, order: PruneOrder) -> Done:
        assert order == ORDER
        self.launched += 1
        return Done(argv=(), exit_code=self.code, stdout=b"", stderr=b"no room\n")

    def do(self, verb: StartPrune | LookPrune | ForgetPrune) -> PruneState:
        return perform_prune(verb, folder=self.folder, launch=self.launch, now=lambda: self.now)

    def start(self) -> PruneState:
        return self.do(StartPrune(order=ORDER))

    def look(self) -> PruneState:
        return self.do(LookPrune(prune_id="prune-1"))

    @property
    def directory(self) -> Path:
        return self.folder / "prune-1"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_it_is_begun_once_and_told_in_the_end(bench: Bench) -> None:
    assert bench.look().phase is PrunePhase.ABSENT
    assert bench.start().phase is bench.start().phase is bench.look().phase is PrunePhase.RUNNING
    assert bench.launched == 1
    assert prune.under_way(bench.folder, bench.now) == [ORDER]
    prune.write_result(bench.directory, [GONE])
    assert bench.look().removals == [GONE]
    assert bench.do(ForgetPrune(prune_id="prune-1")).phase is PrunePhase.RUNNING  # not as long as it runs
    prune.write_result(bench.directory, [GONE], "ok", "All went.")
    done = bench.look()
    assert (done.phase, done.outcome, done.reason, done.removals) == (PrunePhase.DONE, "ok", "All went.", [GONE])
    assert (done.claim, prune.under_way(bench.folder, bench.now)) == ("c", [])
    assert bench.do(ForgetPrune(prune_id="prune-1")).phase is PrunePhase.ABSENT


@pytest.mark.rows("F8")
def test_a_killed_process_is_followed_by_another_some_times(bench: Bench) -> None:
    bench.start()
    with prune.alone(bench.directory) as held, prune.alone(bench.directory) as second:
        assert (held, second) == (True, False)
        bench.now += timedelta(hours=1)
        assert bench.look().phase is PrunePhase.RUNNING
        assert bench.launched == 1
    for number in range(2, TRIES + 1):
        assert (bench.look().phase, bench.launched) == (PrunePhase.RUNNING, number)
        assert (bench.look().phase, bench.launched) == (PrunePhase.RUNNING, number)  # it has its time to begin
        bench.now += timedelta(minutes=2)
    assert (bench.look().phase, bench.launched) == (PrunePhase.LOST, TRIES)


def test_what_cannot_be_begun_or_read_is_an_error(bench: Bench) -> None:
    bench.code = 1
    with pytest.raises(MachineError, match="no room"):
        bench.start()
    with pytest.raises(VerbRefused):
        bench.do(LookPrune(prune_id="../etc"))
    (bench.directory / "order.json").write_text("{")
    with pytest.raises(MachineError, match="damaged"):
        bench.look()
    assert prune.under_way(bench.folder, bench.now) == []
    with pytest.raises(MachineError, match="damaged"):
        prune.read_order({"order": {**vars(replace(ORDER)), "vmid": "x"}})
