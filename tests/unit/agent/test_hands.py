"""Hands: verbs leave the loop, and come back in time or not at all."""

import asyncio
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.agent.hands import InProcess, Split
from nanny_ops.errors import DiskFull, MachineError
from nanny_ops.machine.run import run
from nanny_ops.machine.verbs import CancelJob, ForgetJob, JobPhase, JobState, LookJob, ReadMetrics, RunCommand


def test_a_verb_is_carried_out_in_a_thread_with_the_jobs_directory(tmp_path: Path) -> None:
    seen: list[Any] = []

    def perform(verb: Any, *, jobs_dir: Path) -> str:
        seen.append((verb, jobs_dir, threading.current_thread() is threading.main_thread()))
        return "answer"

    hands = InProcess(perform, jobs_dir=tmp_path)
    assert asyncio.run(hands.do(LookJob(job_id="a"))) == "answer"
    hands.close()
    assert seen == [(LookJob(job_id="a"), tmp_path, False)]


def test_what_goes_wrong_comes_through(tmp_path: Path) -> None:
    def perform(_verb: Any, *, jobs_dir: Path) -> None:
        raise DiskFull

    hands = InProcess(perform, jobs_dir=tmp_path)
    with pytest.raises(DiskFull):
        asyncio.run(hands.do(LookJob(job_id="a")))
    hands.close()


def test_a_verb_has_a_deadline(tmp_path: Path) -> None:
    release = threading.Event()

    def perform(_verb: Any, *, jobs_dir: Path) -> None:
        release.wait(10)

    hands = InProcess(perform, jobs_dir=tmp_path, deadline=0.02)
    with pytest.raises(MachineError, match="LookJob took longer"):
        asyncio.run(hands.do(LookJob(job_id="a")))
    release.set()
    hands.close()


def test_a_reading_that_hangs_takes_no_second_thread_and_no_job_waits_for_it(tmp_path: Path) -> None:
    release = threading.Event()
    hung: list[Any] = []

    def perform(verb: Any, *, jobs_dir: Path) -> str:
        if isinstance(verb, ReadMetrics):
            hung.append(verb)
            release.wait(10)
        return "answer"

    hands = InProcess(perform, jobs_dir=tmp_path, deadline=0.05)

    async def go() -> None:
        for _ in range(6):
            with pytest.raises(MachineError):
                await hands.do(ReadMetrics())
        assert await hands.do(LookJob(job_id="a")) == "answer"

    asyncio.run(go())
    assert len(hung) == 1
    release.set()
    hands.close()


def test_a_verb_that_hangs_does_not_keep_the_process_from_ending(tmp_path: Path) -> None:
    program = (
        "import asyncio, time, pathlib\n"
        "from nanny_ops.agent.hands import InProcess\n"
        "from nanny_ops.errors import MachineError\n"
        "from nanny_ops.machine.verbs import ReadMetrics\n"
        "hands = InProcess(lambda verb, *, jobs_dir: time.sleep(30), jobs_dir=pathlib.Path('.'), deadline=0.05)\n"
        "try:\n    asyncio.run(hands.do(ReadMetrics()))\nexcept MachineError:\n    hands.close()\n"
    )
    done = run([sys.executable, "-c", program], timeout=10)
    assert (done.exit_code, done.timed_out, done.stderr) == (0, False, b"")


def test_what_needs_root_is_for_the_helper(tmp_path: Path) -> None:
    async def helper(verb: Any) -> str:
        return f"helper: {type(verb).__name__}"

    def perform(verb: Any, *, jobs_dir: Path) -> Any:
        return JobState(job_id="a", phase=JobPhase.ABSENT) if isinstance(verb, LookJob) else type(verb).__name__

    split = Split(InProcess(perform, jobs_dir=tmp_path), helper)
    asked = (ReadMetrics(), LookJob(job_id="a"), ForgetJob(job_id="a"), RunCommand(name="df"))

    async def go() -> list[Any]:
        return [await split.do(verb) for verb in asked]

    assert asyncio.run(go()) == ["ReadMetrics", "helper: LookJob", "helper: ForgetJob", "helper: RunCommand"]
    split.close()


def test_a_job_begun_before_there_was_a_helper_is_seen_to_its_end(tmp_path: Path) -> None:
    """And one that cannot even be looked at is not taken for one that is not there, which could be begun again."""
    done: list[Any] = []

    async def helper(verb: Any) -> Any:
        raise AssertionError(verb)

    def perform(verb: Any, *, jobs_dir: Path) -> JobState:
        if verb == LookJob(job_id="closed"):
            raise PermissionError(13, "Permission denied")
        done.append(type(verb).__name__)
        return JobState(job_id="a", phase=JobPhase.RUNNING)

    split = Split(InProcess(perform, jobs_dir=tmp_path), helper)
    assert asyncio.run(split.do(LookJob(job_id="a"))).phase is JobPhase.RUNNING
    asyncio.run(split.do(CancelJob(job_id="a")))
    assert done == ["LookJob", "LookJob", "LookJob", "CancelJob"]
    with pytest.raises(MachineError, match="begun without the helper"):
        asyncio.run(split.do(LookJob(job_id="closed")))
    split.close()
