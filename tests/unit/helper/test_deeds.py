"""What the helper does on the jobs: once each, judged before it begins, and nothing outside its folder."""

import hashlib
import os
import threading
from pathlib import Path

import pytest

from nanny_ops.errors import DiskFull, MachineError, VerbRefused
from nanny_ops.helper import deeds
from nanny_ops.helper.deeds import Deeds
from nanny_ops.helper.ledger import Ledger
from nanny_ops.machine.verbs import CancelJob, ForgetJob, JobPhase, LookJob, ScriptJob, StartScript

SCRIPT = b"#!/bin/sh\n"
JOB = ScriptJob(
    job_id="op-1",
    vmid=None,
    script=SCRIPT,
    sha256=hashlib.sha256(SCRIPT).hexdigest(),
    argv=[],
    timeout_seconds=60,
    dry_run=False,
    output_cap=1000,
)


class Refusing:
    """A judge that refuses everything, and counts."""

    asked = 0

    def judge(self, job: ScriptJob) -> ScriptJob:
        self.asked += 1
        raise VerbRefused(f"Not {job.job_id}.", outcome="refused")


def make(folder: Path, judge: object) -> Deeds:
    return Deeds(folder / "jobs", judge, Ledger(folder / "begun"), os.getegid())  # type: ignore[arg-type]


def lie_down(folder: Path, job_id: str = "op-1", **files: str) -> Path:
    """Lay down what a job has left; without further files it was never begun."""
    job = folder / "jobs" / job_id
    job.mkdir(parents=True)
    for name, text in {"order.json": "{}", "stdout": "", "stderr": "", "lock": "", **files}.items():
        (job / name).write_text(text)
    return job


def test_what_is_refused_leaves_nothing(tmp_path: Path) -> None:
    judge = Refusing()
    with pytest.raises(VerbRefused, match="Not op-1"):
        make(tmp_path, judge).do(StartScript(job=JOB))
    assert judge.asked == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [LookJob, CancelJob, ForgetJob])
def test_no_verb_leaves_the_folder(tmp_path: Path, kind: type) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "order.json").touch()
    for job_id in ("..", ".", "../jobs", "/etc", ""):
        with pytest.raises(VerbRefused):
            make(tmp_path, Refusing()).do(kind(job_id=job_id))
    assert (tmp_path / "order.json").exists()


@pytest.mark.parametrize("kind", [LookJob, CancelJob, ForgetJob])
def test_a_job_that_is_not_there_is_absent(tmp_path: Path, kind: type) -> None:
    assert make(tmp_path, Refusing()).do(kind(job_id="op-1")).phase is JobPhase.ABSENT


def test_asking_again_for_what_was_begun_needs_no_judgement(tmp_path: Path) -> None:
    lie_down(tmp_path, started="")
    judge = Refusing()
    assert make(tmp_path, judge).do(StartScript(job=JOB)).phase is JobPhase.LOST
    assert judge.asked == 0


def test_what_was_begun_and_forgotten_is_not_begun_again(tmp_path: Path) -> None:
    lie_down(tmp_path, started="")
    assert make(tmp_path, Refusing()).do(ForgetJob(job_id="op-1")).phase is JobPhase.ABSENT
    judge = Refusing()
    with pytest.raises(VerbRefused, match="begun before"):
        make(tmp_path, judge).do(StartScript(job=JOB))
    assert judge.asked == 0


def test_what_was_never_begun_may_still_be(tmp_path: Path) -> None:
    lie_down(tmp_path)
    make(tmp_path, Refusing()).do(ForgetJob(job_id="op-1"))
    with pytest.raises(VerbRefused, match="Not op-1"):
        make(tmp_path, Refusing()).do(StartScript(job=JOB))


def test_the_folder_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Willing:
        def judge(self, job: ScriptJob) -> ScriptJob:
            return job

    monkeypatch.setattr(deeds, "MOST_JOBS", 1)
    lie_down(tmp_path, "other")
    with pytest.raises(DiskFull, match="nobody has fetched"):
        make(tmp_path, Willing()).do(StartScript(job=JOB))


def test_a_folder_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("a file")
    with pytest.raises(MachineError):
        make(tmp_path, Refusing()).do(LookJob(job_id="op-1"))


def test_a_long_verb_keeps_no_other_job_waiting(tmp_path: Path) -> None:
    entered, release = threading.Event(), threading.Event()

    class Slow(Refusing):
        def judge(self, job: ScriptJob) -> ScriptJob:
            entered.set()
            release.wait(20)
            return super().judge(job)

    made, ended = make(tmp_path, Slow()), list[str]()

    def begin() -> None:
        with pytest.raises(VerbRefused):
            made.do(StartScript(job=JOB))
        ended.append("begin")

    thread = threading.Thread(target=begin)
    thread.start()
    assert entered.wait(20)
    assert made.do(LookJob(job_id="op-1")).phase is JobPhase.ABSENT
    assert made.do(CancelJob(job_id="op-3")).phase is JobPhase.ABSENT
    assert ended == []
    release.set()
    thread.join(20)
    assert ended == ["begin"]
