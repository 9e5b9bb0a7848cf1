"""Supervisors that are forked: real processes, which live on without the one that forked them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nanny_ops.machine import forked
from nanny_ops.machine import job as jobs
from nanny_ops.machine.carrier import detached
from nanny_ops.machine.job import BUSY
from nanny_ops.machine.verbs import JobPhase, JobResult
from tests.job_contract import signed


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of jobs; the server beside it ends when its own folder is emptied."""
    yield tmp_path / "jobs"
    for path in (tmp_path / forked.FOLDER).glob("*"):
        path.unlink()


def begin(folder: Path, job_id: str, body: str) -> None:
    jobs.start(folder, signed(body, job_id), launch=lambda where, seal: jobs.launch(where, seal, carrier=carry))


def carry(directory: Path, seal: str) -> object:
    return forked.carry(directory, seal, detached)


def until(true: Callable[[], object], seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)


def result_of(folder: Path, job_id: str) -> JobResult:
    until(lambda: jobs.look(folder, job_id).phase is JobPhase.DONE)
    result = jobs.look(folder, job_id).result
    assert result is not None
    return result


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def gated(folder: Path, job_id: str) -> tuple[int, Path]:
    """Begin a job that waits; return its supervisor's number, and what lets it go on when it is made."""
    gate, told = folder.parent / f"{job_id}.gate", folder.parent / f"{job_id}.pid"
    body = f"echo run >>{folder.parent}/runs\necho $PPID >{told}.new; mv {told}.new {told}\n"
    begin(folder, job_id, f"{body}while [ ! -e {gate} ]; do sleep 0.1; done\necho '[]'")
    until(told.exists)
    return int(told.read_text()), gate


def test_jobs_of_one_folder_share_what_has_read_the_code(folder: Path) -> None:
    first, gate = gated(folder, "op-1")
    server = parent(first)
    assert b"nanny_ops.machine.fork_server" in Path(f"/proc/{server}/cmdline").read_bytes()
    assert forked.ask(folder.parent / forked.FOLDER, folder / "op-1", "", os.environ) == BUSY
    gate.touch()
    assert result_of(folder, "op-1").outcome == "nothing_to_do"
    second, gate = gated(folder, "op-2")
    assert parent(second) == server
    gate.touch()
    assert result_of(folder, "op-2").outcome == "nothing_to_do"


@pytest.mark.rows("F8")
def test_a_supervisor_lives_on_without_the_server_and_the_next_job_finds_another(folder: Path) -> None:
    first, gate = gated(folder, "op-1")
    server = parent(first)
    os.kill(server, signal.SIGKILL)
    until(lambda: parent(first) != server)
    assert jobs.look(folder, "op-1").phase is JobPhase.RUNNING
    gate.touch()
    assert result_of(folder, "op-1").outcome == "nothing_to_do"
    second, gate = gated(folder, "op-2")
    assert b"fork_server" in Path(f"/proc/{parent(second)}/cmdline").read_bytes()
    gate.touch()
    assert result_of(folder, "op-2").outcome == "nothing_to_do"
    assert (folder.parent / "runs").read_text() == "run\nrun\n"


def test_a_folder_that_others_may_enter_is_not_used(folder: Path) -> None:
    place = folder.parent / forked.FOLDER
    place.mkdir(mode=0o755)
    begin(folder, "op-1", "echo '[]'")
    assert result_of(folder, "op-1").outcome == "nothing_to_do"
    assert list(place.iterdir()) == []


def test_a_supervisor_that_fails_says_why_where_its_server_is_heard(tmp_path: Path) -> None:
    place, said = tmp_path / "place", tmp_path / "said"
    place.mkdir(mode=0o700)
    argv = [sys.executable, "-m", "nanny_ops.machine.fork_server", str(place), "--in-unit"]
    with said.open("wb") as heard, subprocess.Popen(argv, stderr=heard) as server:
        until((place / forked.name()).exists)
        until(lambda: forked.ask(place, tmp_path / "job", "", {}) is None and "supervisor_failed" in said.read_text())
        (place / forked.name()).unlink()
        server.wait(60)
    assert "Error" in said.read_text()


def test_a_server_ends_when_nobody_asks(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir(mode=0o700)
    # A process of its own: a server takes every child of its process for one of its supervisors.
    code = """
import pathlib, sys
from nanny_ops.machine import fork_server
fork_server.serve(pathlib.Path(sys.argv[1]), lambda: print("ready"), idle=0.1)
"""
    done = subprocess.run([sys.executable, "-c", code, place], capture_output=True, timeout=60, check=True)
    assert done.stdout == b"ready\n"
    assert not (place / forked.name()).exists()
