"""What the daemon's loops rely on in jobs, whatever carries a verb to the machine and a supervisor on it.

A test module takes it by a subclass of :class:`JobContract` with a fixture ``bench``.
"""

import contextlib
import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nanny_ops.errors import NannyError, VerbRefused
from nanny_ops.machine.verbs import (
    CancelJob,
    ForgetJob,
    JobPhase,
    JobState,
    JobVerb,
    KeySignature,
    LookJob,
    ScriptJob,
    StartScript,
)
from nanny_ops.protocol.signature import encode, script_message

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = encode(KEY.public_key().public_bytes_raw())
#: Seconds that nothing here should take.
LONG = 60.0
BEGUN = (JobPhase.RUNNING, JobPhase.DONE)


def signed(body: str, job_id: str = "op-1", **more: object) -> ScriptJob:
    """Return a job whose script :data:`KEY` has signed."""
    script = b"#!/bin/sh\n" + body.encode()
    values = {
        "job_id": job_id,
        "vmid": None,
        "script": script,
        "sha256": hashlib.sha256(script).hexdigest(),
        "argv": [],
        "timeout_seconds": 60,
        "dry_run": False,
        "output_cap": 1 << 20,
        "script_id": "s-1",
        "threshold": 1,
        "claim": "c-1",
    }
    job = ScriptJob(**{**values, **more})  # type: ignore[arg-type]
    return replace(job, signatures=[KeySignature(public_key=PUBLIC, signature=sign(job))])


def sign(job: ScriptJob) -> str:
    """Return what :data:`KEY` says of a job's script."""
    return encode(KEY.sign(script_message(job.script_id, job.sha256)))


class Bench(Protocol):
    """One way of having jobs done."""

    #: An empty folder on the machine where scripts run.
    folder: str

    def ask(self, verb: JobVerb) -> JobState:
        """Have a verb carried out. Raises NannyError."""

    def sh(self, command: str) -> str:
        """Run a shell on that machine as root and return what it says; fail where it does."""

    def end_caller(self) -> None:
        """Kill what began the jobs, where it is another process than that of each verb."""


def wait(bench: Bench, *phases: JobPhase, job_id: str = "op-1") -> JobState:
    """Wait until a job stands so."""
    ends = time.monotonic() + LONG
    while (state := bench.ask(LookJob(job_id=job_id))).phase not in phases:
        assert time.monotonic() < ends, f"still {state.phase}"
        time.sleep(0.05)
    return state


def supervisors(directory: Path) -> list[int]:
    """Return the processes of this machine that hold a job's lock open, by which alone a forked one is known."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if str(link.readlink()) == str(directory / "lock"):
                found.append(int(link.parts[2]))
    return found


def outcome(state: JobState) -> str:
    """Return the word for what a job came to."""
    assert state.result is not None
    return state.result.outcome


def never_again(bench: Bench, job: ScriptJob) -> str:
    """Wait for the end of a job that was torn, ask for it once more, and return the word for what it came to.

    Another supervisor may have seen to what was left; where none could, the job is lost, which means unknown.
    """
    state = wait(bench, JobPhase.LOST, JobPhase.DONE, job_id=job.job_id)
    assert bench.ask(StartScript(job=job)).phase in (JobPhase.LOST, JobPhase.DONE)
    return outcome(state) if state.result is not None else "unknown"


class Gated:
    """A script that counts its runs, waits for a gate, and tells its process number and the supervisor's."""

    def __init__(self, bench: Bench, **more: object) -> None:
        """Begin it and wait until it runs."""
        self.bench, folder = bench, bench.folder
        body = f"echo run >>{folder}/runs\necho $$ $PPID >{folder}/pids.new\nmv {folder}/pids.new {folder}/pids\n"
        body += f"while [ ! -e {folder}/gate ]; do sleep 0.1; done\necho through >>{folder}/runs\necho '[]'\n"
        self.job = signed(body, **more)
        assert bench.ask(StartScript(job=self.job)).phase is JobPhase.RUNNING
        bench.sh(f"for n in $(seq 600); do [ -e {folder}/pids ] && exit; sleep 0.1; done; exit 1")
        self.script, self.supervisor = bench.sh(f"cat {folder}/pids").split()

    def open(self) -> None:
        """Let it go on."""
        self.bench.sh(f"touch {self.bench.folder}/gate")

    def kill(self, *pids: str) -> None:
        """End processes as the kernel does when memory runs out, and wait until they are gone, or nobody's children."""
        self.bench.sh(f"kill -KILL {' '.join(pids)}")
        gone = " && ".join(f"! grep -qs '^State:.[^ZX]' /proc/{pid}/status" for pid in pids)
        self.bench.sh(f"for n in $(seq 300); do {gone} && exit; sleep 0.1; done; exit 1")

    def runs(self) -> list[str]:
        """Return what it has counted."""
        return self.bench.sh(f"cat {self.bench.folder}/runs").split()


class JobContract:
    """What the daemon's loops rely on holds for every transport and every carrier."""

    def test_a_job_from_beginning_to_end(self, bench: Bench) -> None:
        assert bench.ask(LookJob(job_id="op-1")).phase is JobPhase.ABSENT
        job = signed("echo \"said $1\" >&2; echo '[]'\n", argv=["a b"])
        for _ in range(2):
            assert bench.ask(StartScript(job=job)).phase in BEGUN
        state = wait(bench, JobPhase.DONE)
        assert (outcome(state), state.claim) == ("nothing_to_do", "c-1")
        assert bench.sh(f"cat {state.stdout_path}") == "[]\n"
        assert bench.sh(f"cat {state.stderr_path}") == "said a b\n"
        assert bench.ask(ForgetJob(job_id="op-1")).phase is JobPhase.ABSENT
        bench.sh(f"[ ! -e {state.stdout_path} ]")

    def test_a_job_is_cancelled(self, bench: Bench) -> None:
        bench.ask(StartScript(job=signed("sleep 300\n")))
        bench.ask(CancelJob(job_id="op-1"))
        assert outcome(wait(bench, JobPhase.DONE)) == "cancelled"

    def test_nothing_forged_is_begun(self, bench: Bench) -> None:
        """In process the supervisor refuses, over the socket the helper already does; the script never runs."""
        job = signed(f"touch {bench.folder}/mark\n")
        forged = replace(job, signatures=[replace(job.signatures[0], signature=encode(bytes(64)))])
        try:
            bench.ask(StartScript(job=forged))
            word = outcome(wait(bench, JobPhase.DONE))
        except VerbRefused as wrong:
            word = str(wrong.details["outcome"])
        assert word == "signature_invalid"
        bench.sh(f"[ ! -e {bench.folder}/mark ]")

    def test_an_id_is_no_path(self, bench: Bench) -> None:
        with pytest.raises(NannyError):
            bench.ask(LookJob(job_id="../../etc"))

    def test_a_job_outlives_what_began_it(self, bench: Bench) -> None:
        gated = Gated(bench)
        bench.end_caller()
        assert bench.ask(LookJob(job_id="op-1")).phase is JobPhase.RUNNING
        bench.end_caller()
        gated.open()
        assert outcome(wait(bench, JobPhase.DONE)) == "nothing_to_do"
        assert gated.runs() == ["run", "through"]

    def test_a_script_outlives_its_supervisor_and_is_never_begun_again(self, bench: Bench) -> None:
        gated = Gated(bench)
        gated.kill(gated.supervisor)
        state = bench.ask(StartScript(job=gated.job))
        assert state.phase is JobPhase.RUNNING, state
        gated.open()
        assert never_again(bench, gated.job) == "unknown"
        assert gated.runs() == ["run", "through"]

    def test_a_script_without_a_supervisor_can_be_ended(self, bench: Bench) -> None:
        gated = Gated(bench)
        gated.kill(gated.supervisor)
        bench.ask(CancelJob(job_id="op-1"))
        never_again(bench, gated.job)
        assert gated.runs() == ["run"]

    def test_all_of_it_killed_is_lost(self, bench: Bench) -> None:
        gated = Gated(bench)
        gated.kill(gated.supervisor, gated.script)
        assert never_again(bench, gated.job) == "unknown"
        assert gated.runs() == ["run"]

    def test_a_script_that_the_kernel_ends_has_failed(self, bench: Bench) -> None:
        """What happens where a job's memory is used up."""
        gated = Gated(bench)
        gated.kill(gated.script)
        state = wait(bench, JobPhase.DONE)
        assert outcome(state) == "script_failed"
        assert state.result is not None
        assert state.result.exit_code == 137

    def test_a_time_limit_ends_all_of_it(self, bench: Bench) -> None:
        Gated(bench, timeout_seconds=1)
        assert outcome(wait(bench, JobPhase.DONE)) == "timed_out"

    def test_a_script_learns_nothing_of_those_above_it(self, bench: Bench) -> None:
        bench.ask(StartScript(job=signed("env\necho '[]'\n")))
        found = bench.sh(f"cat {wait(bench, JobPhase.DONE).stdout_path}")
        assert "PATH=" in found
        for word in ("NANNY", "NOTIFY_SOCKET", "LISTEN_", "WATCHDOG", "PYTHONPATH", "INVOCATION"):
            assert word not in found
