"""Every way a run can end has a name, on the host and in a container."""

import hashlib
import os
import shutil
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nanny_ops.errors import ProgramMissing
from nanny_ops.machine import job as jobs
from nanny_ops.machine.script_run import HALT_TRIES, Cancel
from nanny_ops.machine.shebang import Interpreter
from nanny_ops.machine.supervisor import Supervisor
from nanny_ops.machine.target import Call, choose, folder
from nanny_ops.machine.verbs import JobPhase, KeySignature, ScriptJob
from nanny_ops.protocol.signature import encode, script_message
from tests.unit.machine.fake_pct import FakePct

LIST = '[{"name":"a","version":"2"}]'
TARGETS = [None, 101]


@pytest.fixture
def pct(tmp_path):
    fake = FakePct(tmp_path)
    fake.container(101, "running")
    fake.container(103, "stopped")
    return fake


def make(tmp_path, body: str, **more) -> ScriptJob:
    script = body.encode() if body.startswith("#!") or not body else b"#!/bin/sh\n" + body.encode()
    values = {
        "job_id": f"sup-{tmp_path.name}",
        "vmid": None,
        "script": script,
        "sha256": hashlib.sha256(script).hexdigest(),
        "argv": [],
        "timeout_seconds": 20,
        "dry_run": False,
        "output_cap": 1 << 20,
    }
    return ScriptJob(**{**values, **more})


def supervise(tmp_path, pct, body: str, **more):
    """Run one job to its end in this process and return its result."""
    order = make(tmp_path, body, **more)
    jobs.start(tmp_path / "jobs", order, launch=lambda *_: None)
    directory = tmp_path / "jobs" / order.job_id
    with jobs.supervised(directory) as alone:
        assert alone
        Supervisor(directory, pct.environ, jobs.seal(order)).supervise()
    state = jobs.look(tmp_path / "jobs", order.job_id)
    assert state.phase is JobPhase.DONE
    assert not Path(folder(order.job_id)).exists()
    return state.result


@pytest.mark.parametrize("vmid", TARGETS)
@pytest.mark.parametrize(
    ("body", "outcome", "code"),
    [
        (f"echo text; echo '{LIST}'", "ok", 0),
        ("echo '[]'", "nothing_to_do", 0),
        ("echo '[]'; exit 100", "script_failed", 100),
        ("exit 124", "script_failed", 124),
        ("exit 255", "script_failed", 255),
        ("kill -9 $$", "script_failed", 137),
        ("echo '[]'; exit 4", "script_failed", 4),
        ('echo \'nanny-note {"kind": "ended", "how": "partial"}\'; echo \'[]\'; exit 4', "partial", 4),
        ('echo \'nanny-note {"kind": "ended", "how": "blocked"}\'; echo \'[]\'; exit 5', "blocked", 5),
        ('echo \'nanny-note {"kind": "ended", "how": "quarantined"}\'; echo \'[]\'; exit 6', "quarantined", 6),
        ('echo \'nanny-note {"kind": "ended", "how": "partial"}\'; echo \'[]\'; exit 5', "script_failed", 5),
        ("echo nothing", "bad_output", 0),
        ("cat; echo '[]'", "nothing_to_do", 0),
        ("#!/no/such/interpreter\n", "interpreter_missing", None),
        ("no line at all", "interpreter_missing", None),
    ],
)
def test_outcomes_of_a_script(tmp_path, pct, vmid, body, outcome, code):
    if body == "no line at all":
        more = {"script": body.encode(), "sha256": hashlib.sha256(body.encode()).hexdigest()}
    else:
        more = {}
    result = supervise(tmp_path, pct, body, vmid=vmid, **more)
    assert (result.outcome, result.exit_code) == (outcome, code)
    assert result.reason.endswith(".") or "exit code" in result.reason


@pytest.mark.rows("R5")
@pytest.mark.parametrize("vmid", TARGETS)
def test_a_script_that_takes_too_long_ends_with_its_children(tmp_path, pct, vmid):
    note = tmp_path / "pid"
    result = supervise(tmp_path, pct, f"sleep 60 & echo $! >{note}; wait", vmid=vmid, timeout_seconds=1)
    assert result.outcome == "timed_out"
    assert "1 s" in result.reason
    assert gone(int(note.read_text()))


@pytest.mark.rows("R5")
@pytest.mark.parametrize("vmid", TARGETS)
def test_cancel_reaches_the_script(tmp_path, pct, vmid):
    note = tmp_path / "pid"
    order = make(tmp_path, "")

    def cancel_once_begun():
        while not (note.exists() and note.read_text().endswith("\n")):
            time.sleep(0.02)
        (tmp_path / "jobs" / order.job_id / "cancel").touch()

    watcher = threading.Thread(target=cancel_once_begun)
    watcher.start()
    result = supervise(tmp_path, pct, f"echo before; sleep 60 & echo $! >{note}; wait", vmid=vmid)
    watcher.join()
    assert result.outcome == "cancelled"
    assert gone(int(note.read_text()))
    assert (tmp_path / "jobs" / order.job_id / "stdout").read_text() == "before\n"


@pytest.mark.parametrize(("vmid", "outcome"), [(103, "target_stopped"), (999, "target_unknown"), (101, "no_proxmox")])
def test_outcomes_of_a_target(tmp_path, pct, vmid, outcome):
    if outcome == "no_proxmox":
        (pct.bin / "pct").unlink()
    result = supervise(tmp_path, pct, f"echo '{LIST}'", vmid=vmid)
    assert (result.outcome, result.exit_code, result.packages) == (outcome, None, [])


@pytest.mark.parametrize("gone_how", ["stopped", "removed"])
def test_a_container_gone_mid_run(tmp_path, pct, gone_how):
    """As when a container is stopped: its processes are killed, pct exec passes 137 on."""
    change = "echo stopped >" if gone_how == "stopped" else "rm "
    order = make(tmp_path, "")
    result = None
    try:
        order = make(tmp_path, f"{change}{pct.state}/101; kill -9 $$", vmid=101)
        jobs.start(tmp_path / "jobs", order, launch=lambda *_: None)
        directory = tmp_path / "jobs" / order.job_id
        with jobs.supervised(directory):
            Supervisor(directory, pct.environ, jobs.seal(order)).supervise()
        result = jobs.look(tmp_path / "jobs", order.job_id).result
    finally:
        pct.container(101, "running")
        choose(101, pct.environ).unstage(call_of(order))
    assert result is not None
    assert (result.outcome, result.exit_code) == ("target_lost", 137)


def test_a_changed_script_on_disk_is_not_run(tmp_path, pct):
    note = tmp_path / "ran"
    result = supervise(tmp_path, pct, f"touch {note}", sha256="0" * 64)
    assert result.outcome == "checksum_mismatch"
    assert not note.exists()


EVIL = b"#!/bin/sh\ntouch $EVIL\necho '[]'\n"


class Swapped:
    """A target before which somebody puts another script in the place of the one that was verified."""

    def __init__(self, target, directory, evil):
        self.target, self.directory, self.evil = target, directory, evil

    def __getattr__(self, name):
        return getattr(self.target, name)

    def stage(self, call):
        (self.directory / "script").write_bytes(self.evil)
        return self.target.stage(call)

    def argv(self, call):
        (self.directory / "script").write_bytes(self.evil)
        return self.target.argv(call)


@pytest.mark.parametrize("vmid", [None, 101])
def test_a_script_swapped_after_its_verification_is_not_run(tmp_path, pct, vmid):
    """What runs on the host, and what is handed over to a container, are the verified bytes themselves."""
    note = tmp_path / "evil"
    evil = EVIL.replace(b"$EVIL", str(note).encode())
    order = make(tmp_path, f"echo '{LIST}'", vmid=vmid)
    jobs.start(tmp_path / "jobs", order, launch=lambda *_: None)
    directory = tmp_path / "jobs" / order.job_id
    with jobs.supervised(directory):
        swapped = Supervisor(
            directory,
            pct.environ,
            jobs.seal(order),
            choose=lambda *given: Swapped(choose(*given), directory, evil),
        )
        swapped.supervise()
    result = jobs.look(tmp_path / "jobs", order.job_id).result
    assert result is not None
    assert result.outcome == "ok"
    assert (directory / "script").read_bytes() == evil
    assert not note.exists()
    choose(vmid, pct.environ).unstage(call_of(order))


def test_an_order_swapped_with_its_script_is_not_run(tmp_path, pct):
    """Both fit together, and neither is what was handed over."""
    note = tmp_path / "evil"
    order = make(tmp_path, f"echo '{LIST}'")
    jobs.start(tmp_path / "jobs", order, launch=lambda *_: None)
    shutil.rmtree(tmp_path / "jobs" / order.job_id)
    jobs.start(tmp_path / "jobs", make(tmp_path, f"touch {note}"), launch=lambda *_: None)
    directory = tmp_path / "jobs" / order.job_id
    Supervisor(directory, pct.environ, jobs.seal(order)).supervise()
    result = jobs.look(tmp_path / "jobs", order.job_id).result
    assert result is not None
    assert result.outcome == "checksum_mismatch"
    assert not (directory / "started").exists()
    assert not note.exists()


def signed(order: ScriptJob, *keys: Ed25519PrivateKey, threshold: int, script_id: str = "own-1") -> ScriptJob:
    message = script_message(script_id, order.sha256)
    signatures = [
        KeySignature(public_key=encode(key.public_key().public_bytes_raw()), signature=encode(key.sign(message)))
        for key in keys
    ]
    return replace(order, script_id="own-1", signatures=signatures, threshold=threshold)


@pytest.mark.parametrize(
    ("signers", "said_of", "outcome"),
    [((0, 1), "own-1", "ok"), ((0, 0), "own-1", "signature_invalid"), ((0, 1), "own-2", "signature_invalid")],
)
def test_signatures_are_verified_once_more_before_the_start(tmp_path, pct, signers, said_of, outcome):
    keys = [Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()]
    order = make(tmp_path, f"echo '{LIST}'")
    order = signed(order, *(keys[number] for number in signers), threshold=2, script_id=said_of)
    jobs.start(tmp_path / "jobs", order, launch=lambda *_: None)
    directory = tmp_path / "jobs" / order.job_id
    Supervisor(directory, pct.environ, jobs.seal(order)).supervise()
    result = jobs.look(tmp_path / "jobs", order.job_id).result
    assert result is not None
    assert (result.outcome, (directory / "started").exists()) == (outcome, outcome == "ok")


def test_packages_of_a_failed_script_are_kept(tmp_path, pct):
    result = supervise(tmp_path, pct, f"echo '{LIST}'; echo 'E: http://u:geheim@h/ broken' >&2; exit 1")
    assert result.outcome == "script_failed"
    assert [package.name for package in result.packages] == ["a"]
    assert result.reason == "The script ended with exit code 1: E: http://u:******@h/ broken"


def test_a_list_beyond_the_cap_is_still_read(tmp_path, pct):
    result = supervise(tmp_path, pct, f"head -c 100000 /dev/zero; echo; echo '{LIST}'", output_cap=1000)
    assert (result.outcome, result.stdout_truncated, result.stderr_truncated) == ("ok", True, False)


def test_a_begun_job_is_never_run_again(tmp_path, pct):
    note = tmp_path / "ran"
    order = make(tmp_path, f"touch {note}")
    jobs.start(tmp_path / "jobs", order, launch=lambda *_: None)
    directory = tmp_path / "jobs" / order.job_id
    (directory / "started").touch()
    Supervisor(directory, pct.environ, jobs.seal(order)).supervise()
    assert not note.exists()
    result = jobs.look(tmp_path / "jobs", order.job_id).result
    assert result is not None
    assert (result.outcome, result.packages) == ("unknown", [])


def test_times_come_from_the_clock(tmp_path, pct):
    order = make(tmp_path, "echo '[]'")
    jobs.start(tmp_path / "jobs", order, launch=lambda *_: None)
    directory = tmp_path / "jobs" / order.job_id
    Supervisor(directory, pct.environ, jobs.seal(order), now=lambda: datetime(2026, 1, 2, tzinfo=UTC)).supervise()
    result = jobs.look(tmp_path / "jobs", order.job_id).result
    assert result is not None
    assert result.started_at == result.finished_at == "2026-01-02T00:00:00.000Z"


def test_a_broken_supervisor_leaves_a_result_and_its_trace(tmp_path, pct):
    order = make(tmp_path, "echo '[]'")
    jobs.start(tmp_path / "jobs", order, launch=lambda *_: None)
    directory = tmp_path / "jobs" / order.job_id
    Supervisor(directory, pct.environ, jobs.seal(order)).confess(RuntimeError("boom"))
    result = jobs.look(tmp_path / "jobs", order.job_id).result
    assert result is not None
    assert result.outcome == "agent_error"
    assert "boom" in (directory / "supervisor.log").read_text()


def test_a_container_that_cannot_be_halted_is_given_up(tmp_path):
    now, halts = [0.0], []
    cancel = Cancel(tmp_path / "cancel", lambda: halts.append(now[0]), needs_halt=True, tick=lambda: now[0])
    assert not cancel()
    (tmp_path / "cancel").touch()
    answers = []
    while not (answers and answers[-1]):
        answers.append(cancel())
        now[0] += 1
        assert now[0] < 60
    assert len(halts) == HALT_TRIES
    assert cancel.wished


def call_of(order: ScriptJob):
    return Call(
        job_id=order.job_id,
        script=Path(),
        sealed=Path(),
        sha256="",
        interpreter=Interpreter("/bin/sh"),
        arguments=[],
        timeout=1,
    )


def gone(pid: int) -> bool:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            if b") Z" in Path(f"/proc/{pid}/stat").read_bytes():
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


class Careless:
    """A container whose pct vanishes while its script runs, as when Proxmox VE itself is upgraded."""

    def __init__(self, target):
        self.target = target

    def __getattr__(self, name):
        return getattr(self.target, name)

    def unstage(self, call):
        self.target.unstage(call)
        raise ProgramMissing


def test_a_clean_up_that_fails_does_not_cost_the_outcome(tmp_path, pct):
    order = make(tmp_path, f"echo '{LIST}'", vmid=101)
    jobs.start(tmp_path / "jobs", order, launch=lambda *_: None)
    directory = tmp_path / "jobs" / order.job_id
    with jobs.supervised(directory):
        Supervisor(directory, pct.environ, jobs.seal(order), choose=lambda *given: Careless(choose(*given))).supervise()
    result = jobs.look(tmp_path / "jobs", order.job_id).result
    assert result is not None
    assert (result.outcome, [package.name for package in result.packages]) == ("ok", ["a"])
    assert "ProgramMissing" in (directory / "supervisor.log").read_text()


def test_a_broken_supervisor_leaves_a_result_though_its_trace_cannot_be_written(tmp_path, pct):
    order = make(tmp_path, "echo '[]'")
    jobs.start(tmp_path / "jobs", order, launch=lambda *_: None)
    directory = tmp_path / "jobs" / order.job_id
    (directory / "supervisor.log").mkdir()
    Supervisor(directory, pct.environ, jobs.seal(order)).confess(RuntimeError("boom"))
    result = jobs.look(tmp_path / "jobs", order.job_id).result
    assert result is not None
    assert "boom" in result.reason


def test_a_reason_taken_from_a_script_is_plain_text(tmp_path, pct):
    result = supervise(tmp_path, pct, "printf '\\033[2Jowned\\000x\\n' >&2; exit 1", vmid=101)
    assert result.outcome == "script_failed"
    assert result.reason.isprintable()
    assert "owned" in result.reason


@pytest.mark.parametrize("vmid", TARGETS)
def test_the_agents_umask_does_not_reach_a_script(tmp_path, pct, vmid):
    before = os.umask(0o077)
    try:
        supervise(tmp_path, pct, "umask >&2; echo '[]'", vmid=vmid)
    finally:
        os.umask(before)
    said = (tmp_path / "jobs" / f"sup-{tmp_path.name}" / "stderr").read_text()
    assert said.strip() == "0022"
