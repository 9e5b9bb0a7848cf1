"""Jobs that survive their agent: real supervisors, real scripts, real kills."""

import functools
import hashlib
import json
import os
import pickle
import shutil
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nanny_ops.errors import DiskFull, MachineError, ValidationFailed
from nanny_ops.machine import job as jobs
from nanny_ops.machine.plan import HookScript, Plan
from nanny_ops.machine.run import run
from nanny_ops.machine.target import folder
from nanny_ops.machine.verbs import JobPhase, JobResult, ScriptJob
from nanny_ops.protocol.patch import PackageChange
from nanny_ops.protocol.probe import Probe
from tests.job_contract import supervisors
from tests.unit.machine.fake_pct import FakePct

LIST = b'echo \'[{"name":"a","version":"2","old_version":"1","action":"upgrade"}]\'\n'


def make(script: bytes = LIST, **more) -> ScriptJob:
    body = script if script.startswith(b"#!") else b"#!/bin/sh\n" + script
    values = {
        "job_id": "op-1",
        "vmid": None,
        "script": body,
        "sha256": hashlib.sha256(body).hexdigest(),
        "argv": [],
        "timeout_seconds": 60,
        "dry_run": False,
        "output_cap": 1 << 20,
    }
    return ScriptJob(**{**values, **more})


def wait_for(jobs_dir: Path, *phases: JobPhase, seconds: float = 20.0):
    end = time.monotonic() + seconds
    while (state := jobs.look(jobs_dir, "op-1")).phase not in phases:
        assert time.monotonic() < end, f"still {state.phase}"
        time.sleep(0.02)
    return state


def wait_file(path: Path, seconds: float = 10.0) -> str:
    end = time.monotonic() + seconds
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.02)
    return path.read_text()


def alive(pid: int) -> bool:
    """A zombie is dead: who inherits orphans collects them in its own time."""
    try:
        return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()
    except FileNotFoundError:
        return False


def nothing(directory: Path, seal: str) -> None:
    """A launch that is lost."""


def test_a_job_runs_and_its_result_is_found(tmp_path):
    state = jobs.start(tmp_path, make(b'echo "$1"; echo oops >&2\n' + LIST, argv=["--dry-run"]))
    assert state.phase in (JobPhase.RUNNING, JobPhase.DONE)
    done = wait_for(tmp_path, JobPhase.DONE)
    assert done.result is not None
    assert (done.result.outcome, done.result.exit_code) == ("ok", 0)
    assert done.result.packages == [PackageChange(name="a", version="2", old_version="1", action="upgrade")]
    assert Path(done.stdout_path).read_text().startswith("--dry-run\n")
    assert Path(done.stderr_path).read_text() == "oops\n"
    assert done.result.started_at.endswith("Z")


def test_a_job_tells_under_which_claim_it_was_begun(tmp_path):
    jobs.start(tmp_path, make(claim="mine"), launch=lambda _directory, _seal: None)
    assert jobs.look(tmp_path, "op-1").claim == "mine"
    (tmp_path / "op-1" / "order.json").write_bytes(b"torn")
    assert jobs.look(tmp_path, "op-1").claim == ""


def test_an_unknown_job_is_absent(tmp_path):
    assert jobs.look(tmp_path, "op-1").phase is JobPhase.ABSENT
    assert jobs.cancel(tmp_path, "op-1").phase is JobPhase.ABSENT
    assert jobs.forget(tmp_path, "op-1").phase is JobPhase.ABSENT


@pytest.mark.parametrize("bad", ["", ".", "..", "a/b", "../x", ".new-x", "x" * 129, "a\nb", "ä", "a\n"])
def test_an_id_cannot_leave_the_folder(tmp_path, bad):
    with pytest.raises(ValidationFailed):
        jobs.look(tmp_path, bad)


def test_everything_is_for_root_only(tmp_path):
    jobs.start(tmp_path / "jobs", make(), launch=nothing)
    assert (tmp_path / "jobs").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "jobs").rglob("*")} == {0}


def test_asked_many_times_it_begins_once(tmp_path):
    count = tmp_path / "count"
    order = make(f"echo x >>{count}; sleep 0.5\n".encode() + LIST)
    code = (
        "import sys, pickle, pathlib; from nanny_ops.machine import job;"
        "job.start(pathlib.Path(sys.argv[1]), pickle.load(sys.stdin.buffer))"
    )

    def ask():
        run([sys.executable, "-c", code, str(tmp_path / "jobs")], timeout=30, stdin=pickle.dumps(order))

    callers = [threading.Thread(target=ask) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    wait_for(tmp_path / "jobs", JobPhase.DONE)
    assert jobs.start(tmp_path / "jobs", order).phase is JobPhase.DONE
    assert count.read_text() == "x\n"


def test_the_agents_death_is_survived(tmp_path):
    gate, count = tmp_path / "gate", tmp_path / "count"
    body = f"echo x >>{count}; while [ ! -e {gate} ]; do sleep 0.05; done\n".encode() + LIST
    code = (
        "import sys, time, pickle, pathlib; from nanny_ops.machine import job;"
        "print(job.start(pathlib.Path(sys.argv[1]), pickle.load(sys.stdin.buffer)).phase, flush=True);"
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    )
    agent = run([sys.executable, "-c", code, str(tmp_path / "jobs")], timeout=30, stdin=pickle.dumps(make(body)))
    assert agent.exit_code == -signal.SIGKILL
    assert agent.stdout == b"running\n"
    assert jobs.look(tmp_path / "jobs", "op-1").phase is JobPhase.RUNNING
    assert jobs.start(tmp_path / "jobs", make(body)).phase is JobPhase.RUNNING
    gate.touch()
    state = wait_for(tmp_path / "jobs", JobPhase.DONE)
    assert state.result is not None
    assert state.result.outcome == "ok"
    assert count.read_text() == "x\n"


def test_a_killed_supervisor_leaves_a_lost_job_that_is_never_rerun(tmp_path):
    count = tmp_path / "count"
    order = make(f"echo $$ >>{count}; exec sleep 60\n".encode())
    jobs.start(tmp_path / "jobs", order)
    script = int(wait_file(count))
    (supervisor,) = supervisors(tmp_path / "jobs" / "op-1")
    os.kill(supervisor, signal.SIGKILL)
    time.sleep(0.2)
    assert jobs.look(tmp_path / "jobs", "op-1").phase is JobPhase.RUNNING, "its script still works on the target"
    assert jobs.start(tmp_path / "jobs", order).phase is JobPhase.RUNNING
    assert jobs.forget(tmp_path / "jobs", "op-1").phase is JobPhase.RUNNING
    os.kill(script, signal.SIGKILL)
    wait_for(tmp_path / "jobs", JobPhase.LOST)
    assert jobs.start(tmp_path / "jobs", order).phase is JobPhase.LOST
    assert jobs.cancel(tmp_path / "jobs", "op-1").phase is JobPhase.LOST
    assert len(count.read_text().split()) == 1
    assert jobs.forget(tmp_path / "jobs", "op-1").phase is JobPhase.ABSENT


@pytest.mark.parametrize("vmid", [None, 101])
def test_a_cancel_reaches_a_script_that_has_lost_its_supervisor(tmp_path, monkeypatch, vmid):
    pct = FakePct(tmp_path)
    pct.container(101, "running")
    monkeypatch.setenv("PATH", pct.environ["PATH"])
    note = tmp_path / "note"
    job_id = f"orphan-{tmp_path.name}"
    order = make(f"echo $$ >{note}; exec sleep 60\n".encode(), job_id=job_id, vmid=vmid)
    jobs.start(tmp_path / "jobs", order)
    script = int(wait_file(note))
    (supervisor,) = supervisors(tmp_path / "jobs" / job_id)
    os.kill(supervisor, signal.SIGKILL)
    time.sleep(0.2)
    assert jobs.look(tmp_path / "jobs", job_id).phase is JobPhase.RUNNING
    jobs.cancel(tmp_path / "jobs", job_id)
    end = time.monotonic() + 10
    while jobs.look(tmp_path / "jobs", job_id).phase is JobPhase.RUNNING:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert jobs.look(tmp_path / "jobs", job_id).phase is JobPhase.LOST
    stat = Path(f"/proc/{script}/stat")
    assert not stat.exists() or b") Z" in stat.read_bytes()
    shutil.rmtree(folder(job_id), ignore_errors=True)


def test_a_job_whose_supervisor_never_came_is_ready_and_begins_when_asked_again(tmp_path):
    assert jobs.start(tmp_path, make(), launch=nothing).phase is JobPhase.READY
    jobs.start(tmp_path, make())
    assert wait_for(tmp_path, JobPhase.DONE).result.outcome == "ok"


def test_a_ready_job_that_is_not_what_was_verified_is_written_anew(tmp_path):
    jobs.start(tmp_path, make(), launch=nothing)
    (tmp_path / "op-1" / "order.json").write_text("{}")
    (tmp_path / "op-1" / "script").write_bytes(b"#!/bin/sh\nexit 9\n")
    jobs.start(tmp_path, make(), launch=nothing)
    assert jobs.read_order(tmp_path / "op-1") == make()


def test_a_supervisor_at_work_looks_running_before_the_script_begins(tmp_path):
    jobs.start(tmp_path, make(), launch=nothing)
    with jobs.supervised(tmp_path / "op-1") as alone:
        assert alone
        assert jobs.look(tmp_path, "op-1").phase is JobPhase.RUNNING
    assert jobs.look(tmp_path, "op-1").phase is JobPhase.READY


def test_a_second_supervisor_gives_way(tmp_path):
    count = tmp_path / "count"
    jobs.start(tmp_path / "jobs", make(f"echo x >>{count}\n".encode() + LIST), launch=nothing)
    with jobs.supervised(tmp_path / "jobs" / "op-1"):
        jobs.launch(tmp_path / "jobs" / "op-1", "")
    assert not count.exists()
    assert jobs.look(tmp_path / "jobs", "op-1").phase is JobPhase.READY


def test_programs_do_not_inherit_the_lock(tmp_path):
    pid = tmp_path / "pid"
    jobs.start(tmp_path / "jobs", make(f"setsid sleep 30 >/dev/null 2>&1 & echo $! >{pid}\n".encode() + LIST))
    assert wait_for(tmp_path / "jobs", JobPhase.DONE, seconds=10).result.outcome == "ok"
    with jobs.supervised(tmp_path / "jobs" / "op-1") as alone:
        assert alone
    os.kill(int(wait_file(pid)), signal.SIGKILL)


def test_cancel_ends_the_script_and_its_children(tmp_path):
    pid = tmp_path / "pid"
    jobs.start(tmp_path / "jobs", make(f"sleep 60 & echo $! >{pid}; wait\n".encode()))
    child = int(wait_file(pid))
    jobs.cancel(tmp_path / "jobs", "op-1")
    state = wait_for(tmp_path / "jobs", JobPhase.DONE)
    assert state.result.outcome == "cancelled"
    assert not alive(child)


def test_cancel_of_a_job_that_never_began_keeps_it_from_beginning(tmp_path):
    count = tmp_path / "count"
    jobs.start(tmp_path / "jobs", make(f"echo x >>{count}\n".encode()), launch=nothing)
    jobs.cancel(tmp_path / "jobs", "op-1")
    state = wait_for(tmp_path / "jobs", JobPhase.DONE)
    assert state.result.outcome == "cancelled"
    assert state.result.exit_code is None
    assert not count.exists()


def test_cancel_after_the_end_changes_nothing(tmp_path):
    jobs.start(tmp_path, make())
    before = wait_for(tmp_path, JobPhase.DONE)
    assert jobs.cancel(tmp_path, "op-1") == before


def test_forget_spares_a_running_job(tmp_path):
    gate = tmp_path / "gate"
    jobs.start(tmp_path / "jobs", make(f"while [ ! -e {gate} ]; do sleep 0.05; done\n".encode() + LIST))
    assert jobs.forget(tmp_path / "jobs", "op-1").phase is JobPhase.RUNNING
    gate.touch()
    wait_for(tmp_path / "jobs", JobPhase.DONE)
    assert jobs.forget(tmp_path / "jobs", "op-1").phase is JobPhase.ABSENT
    assert list((tmp_path / "jobs").iterdir()) == []


def test_leftovers_of_a_crash_are_swept_after_a_while(tmp_path):
    old, new = tmp_path / ".new-a-1", tmp_path / ".old-b-2"
    old.mkdir()
    new.mkdir()
    os.utime(old, (1, 1))
    jobs.start(tmp_path, make(), launch=nothing)
    assert not old.exists()
    assert new.exists()


def test_a_supervisor_that_cannot_start_says_why(tmp_path):
    jobs.start(tmp_path, make(), launch=nothing)
    with pytest.raises(MachineError, match="exit code 1"):
        jobs.launch(tmp_path / "no-such-job", "")


def test_settings_of_the_agent_do_not_reach_the_script(tmp_path):
    code = (
        "import sys, pickle, pathlib; from nanny_ops.machine import job;"
        "job.start(pathlib.Path(sys.argv[1]), pickle.load(sys.stdin.buffer))"
    )
    order = make(b"env\n" + LIST)
    environment = {"PATH": os.environ["PATH"], "NANNY_AGENT_PVE_TOKEN": "secret", "ANY": "thing"}
    argv = [sys.executable, "-c", code, str(tmp_path)]
    assert run(argv, timeout=30, stdin=pickle.dumps(order), env=environment).exit_code == 0
    said = Path(wait_for(tmp_path, JobPhase.DONE).stdout_path).read_text()
    assert "DEBIAN_FRONTEND=noninteractive" in said
    assert "secret" not in said
    assert "ANY" not in said


RESULT = JobResult(
    outcome="ok",
    reason="r",
    exit_code=0,
    started_at="2026-01-01T00:00:00.000Z",
    finished_at="2026-01-01T00:00:01.000Z",
    duration_ms=1000,
    packages=[PackageChange(name="a", security=True)],
)


def test_a_result_survives_the_disk(tmp_path):
    jobs.start(tmp_path, make(), launch=nothing)
    jobs.write_result(tmp_path / "op-1", RESULT)
    assert jobs.look(tmp_path, "op-1").result == RESULT
    assert not (tmp_path / "op-1" / "reserve").exists()


def test_order_and_script_come_back(tmp_path):
    order = make(argv=["--only=ä b"], vmid=101)
    jobs.start(tmp_path, order, launch=nothing)
    assert jobs.read_order(tmp_path / "op-1") == order
    assert json.loads((tmp_path / "op-1" / "order.json").read_text())["vmid"] == 101


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_named_and_leaves_nothing_half_written(small_disk):
    (small_disk / "filler").write_bytes(bytes(small_disk_free(small_disk)))
    with pytest.raises(DiskFull):
        jobs.start(small_disk / "jobs", make())
    assert list((small_disk / "jobs").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_that_fills_up_while_the_script_runs_is_an_outcome(small_disk):
    order = make(b"head -c 3000000 /dev/zero; exit 0\n", output_cap=1 << 24)
    jobs.start(small_disk / "jobs", order)
    state = wait_for(small_disk / "jobs", JobPhase.DONE)
    assert state.result.outcome == "disk_full"
    assert state.result.exit_code == 0
    assert state.result.stdout_truncated


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_result_too_large_for_the_disk_is_written_without_its_packages(small_disk):
    jobs.start(small_disk, make(), launch=nothing)
    (small_disk / "filler").write_bytes(bytes(small_disk_free(small_disk)))
    many = replace(RESULT, packages=[PackageChange(name=f"package-{number}") for number in range(5000)])
    jobs.write_result(small_disk / "op-1", many)
    result = jobs.look(small_disk, "op-1").result
    assert result is not None
    assert (result.outcome, result.packages) == ("disk_full", [])


def small_disk_free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], timeout=10)
    assert mounted.exit_code == 0, mounted.stderr
    yield folder
    run(["umount", "-l", str(folder)], timeout=10)


def test_the_scripts_of_hooks_come_back_with_their_order(tmp_path):
    body = b"#!/bin/sh\n\xff"
    one = HookScript(stage="pre", script_id="h", script=body, sha256=hashlib.sha256(body).hexdigest())
    order = replace(make(b"true"), plan=Plan(hooks=[one], probes=[Probe(kind="load", most=2.0)]))
    jobs.start(tmp_path / "jobs", order, launch=lambda *_: None)
    back = jobs.read_order(tmp_path / "jobs" / order.job_id)
    assert back == order
    assert jobs.seal(back) == jobs.seal(order)


def test_a_job_that_lost_its_supervisor_is_tended_a_few_times(tmp_path):
    order, launched = make(b"true"), []
    jobs.start(tmp_path / "jobs", order, launch=lambda *_: None)
    tend = functools.partial(jobs.tend, tmp_path / "jobs", order.job_id, launch=lambda *call: launched.append(call))
    assert tend().phase is JobPhase.READY
    assert launched == []
    (tmp_path / "jobs" / order.job_id / jobs.JOURNAL).touch()
    for _ in range(jobs.TENDED + 2):
        assert tend().phase is JobPhase.LOST
    assert launched == [(tmp_path / "jobs" / order.job_id, "")] * jobs.TENDED
