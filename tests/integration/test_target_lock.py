"""Supervisors that begin in the same instant: one has the target, the other ends as blocked and names it."""

import threading
import time
from pathlib import Path

import pytest

from nanny_ops.machine import job as jobs
from nanny_ops.machine.carrier import detached
from nanny_ops.machine.verbs import JobPhase, JobResult, ScriptJob
from tests.job_contract import signed


def begin(folder: Path, order: ScriptJob) -> None:
    jobs.start(folder, order, launch=lambda directory, seal: jobs.launch(directory, seal, carrier=detached))


def result_of(folder: Path, job_id: str) -> JobResult:
    ends = time.monotonic() + 60
    while (state := jobs.look(folder, job_id)).phase is not JobPhase.DONE:
        assert time.monotonic() < ends, state
        time.sleep(0.1)
    assert state.result is not None
    return state.result


@pytest.mark.rows("R5")
def test_two_jobs_of_one_target_do_not_run_together(tmp_path: Path) -> None:
    folder, release = tmp_path / "jobs", tmp_path / "release"
    body = f"while [ ! -e {release} ]; do sleep 0.1; done\necho '[]'"
    orders = [signed(body, f"op-{number}") for number in (1, 2)]
    threads = [threading.Thread(target=begin, args=(folder, order)) for order in orders]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    ends = time.monotonic() + 60
    while not (over := [one.job_id for one in orders if jobs.look(folder, one.job_id).phase is JobPhase.DONE]):
        assert time.monotonic() < ends, "neither gave way"
        time.sleep(0.1)
    blocked, runs = over[0], ({"op-1", "op-2"} - set(over)).pop()
    found = result_of(folder, blocked)
    assert (found.outcome, found.exit_code) == ("blocked", None)
    assert f"{runs} is at work on the host" in found.reason
    assert jobs.look(folder, runs).phase is JobPhase.RUNNING
    release.touch()
    assert result_of(folder, runs).exit_code == 0
    begin(folder, signed("echo '[]'", "op-3"))  # the target is free at once, also while the last holder still ends
    assert result_of(folder, "op-3").exit_code == 0
