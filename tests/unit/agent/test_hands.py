"""Hands: verbs leave the loop, and come back in time or not at all."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.agent.hands import InProcess
from nanny_ops.errors import DiskFull, MachineError
from nanny_ops.machine.verbs import LookJob


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
