"""The helper judges removals of snapshots by the owner's policy, and begins none beside a job that is not over."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.errors import DiskFull, VerbRefused
from nanny_ops.helper.judge import Judge
from nanny_ops.helper.keyring import Keyring
from nanny_ops.helper.ledger import Ledger
from nanny_ops.helper.prunes import MOST, Prunes
from nanny_ops.machine import prune
from nanny_ops.machine.prune_verbs import ForgetPrune, LookPrune, PruneOrder, PrunePhase, StartPrune
from nanny_ops.machine.run import Done
from nanny_ops.protocol.prune import Doomed

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DOOMED = Doomed(name="nanny-20260101-1f2e", operation_id="patch-1")
ORDER = PruneOrder(prune_id="prune-1", kind="lxc", vmid=101, snapshots=[DOOMED], timeout_seconds=60)
ALLOWED = "operations = ['prune']\ntargets = [101]\n"


class Bench:
    """A helper's removals, each over as soon as it has begun."""

    def __init__(self, folder: Path, policy: str = ALLOWED) -> None:
        (folder / "policy.toml").write_text(policy)
        (folder / "policy.toml").chmod(0o600)
        self.folder, self.launched = folder, 0
        judge = Judge(folder / "policy.toml", Keyring(folder / "a", folder / "b", lambda: NOON), lambda: NOON)
        self.prunes = Prunes(folder / "jobs", judge, Ledger(folder / "begun"), launch=self.launch)

    def launch(self, directory: Path, _order: PruneOrder) -> Done:
        self.launched += 1
        prune.write_result(directory, [], "ok", "")
        return Done(argv=(), exit_code=0, stdout=b"", stderr=b"")

    def start(self, **more: Any) -> PrunePhase:
        return self.prunes.do(StartPrune(order=replace(ORDER, **more))).phase


def test_one_that_is_allowed_is_begun_once_and_never_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.start() is bench.start() is PrunePhase.DONE
    assert bench.prunes.do(LookPrune(prune_id="prune-1")).outcome == "ok"
    bench.prunes.do(ForgetPrune(prune_id="prune-1"))
    with pytest.raises(VerbRefused, match="begun before"):
        bench.start()
    assert bench.launched == 1


@pytest.mark.parametrize(
    ("policy", "word"),
    [
        ("", "kind prune"),
        ("operations = ['prune']\ntargets = [102]", "target 101"),
        ("operations = ['prune']\ntimes = ['sat']\ntime_zone = 'UTC'", "begin now"),
        ("operations = [", "cannot be read"),
    ],
)
def test_what_the_owner_does_not_allow_is_not_begun(tmp_path: Path, policy: str, word: str) -> None:
    bench = Bench(tmp_path, policy)
    with pytest.raises(VerbRefused, match=word):
        bench.start()
    assert bench.launched == 0


@pytest.mark.parametrize(
    "more",
    [
        {"prune_id": "../x"}, {"vmid": 7}, {"kind": "host"}, {"claim": "a b"}, {"snapshots": []},
        {"timeout_seconds": 0},
        {"snapshots": [DOOMED] * 65}, {"snapshots": [replace(DOOMED, name="before-upgrade")]},
        {"snapshots": [replace(DOOMED, name="nanny-../x")]}, {"snapshots": [replace(DOOMED, operation_id="/")]},
    ],
)  # fmt: skip
def test_what_no_honest_daemon_sends_is_refused(tmp_path: Path, more: dict[str, Any]) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(VerbRefused):
        bench.start(**more)
    assert bench.launched == 0


@pytest.mark.rows("F6")
def test_a_job_that_may_set_the_guest_back_keeps_its_snapshots(tmp_path: Path) -> None:
    bench, folder = Bench(tmp_path), tmp_path / "jobs" / "patch-1"
    folder.mkdir(parents=True)
    for name in ("started", "lock", "stdout", "stderr"):  # its supervisor was killed; another may take it up
        (folder / name).touch()
    (folder / "order.json").write_text(json.dumps({"vmid": 101}))
    with pytest.raises(VerbRefused, match="may set it back") as found:
        bench.start()
    assert found.value.details["outcome"] == "blocked"
    (folder / "order.json").write_text(json.dumps({"vmid": 102}))
    assert bench.start() is PrunePhase.DONE


def test_what_nobody_fetches_is_bounded(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for number in range(MOST):
        (tmp_path / "prunes" / f"old-{number}").mkdir(parents=True)
    with pytest.raises(DiskFull):
        bench.start()
