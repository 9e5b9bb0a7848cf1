"""The process that runs one job's script and outlives the agent.

Its call: ``python -m nanny_ops.machine.supervisor FOLDER SEAL``; with ``--in-unit`` systemd has started it for this
job alone, waits for a word that it is ready, and keeps what it logs.
"""

import contextlib
import hashlib
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from nanny_ops.errors import MachineError, ValidationFailed
from nanny_ops.machine import readiness
from nanny_ops.machine.job import BUSY, read_order, seal, supervised, sync, write_result
from nanny_ops.machine.packages import note
from nanny_ops.machine.run import Done, daemonize, run_to_files
from nanny_ops.machine.sealed import sealed
from nanny_ops.machine.session import mark
from nanny_ops.machine.shebang import parse as parse_shebang
from nanny_ops.machine.signature import verify
from nanny_ops.machine.target import Call, Problem, Target, choose
from nanny_ops.machine.verbs import JobResult, KeySignature, ScriptJob, VerifySignature
from nanny_ops.protocol import clock
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.package_list import parse, plain
from nanny_ops.protocol.patch import PackageChange
from nanny_ops.protocol.signature import KEY_SIZE, SIGNATURE_SIZE, decode, script_message

log = logging.getLogger("nanny_ops.machine.supervisor")  # whose __name__ is __main__
#: Seconds between two requests to a container to end a script, and how often before ``pct`` itself is ended.
HALT_PAUSE, HALT_TRIES = 3.0, 3
#: Exit codes with which a container's ``timeout`` ends: its own, and those of a program ended by TERM or KILL.
_ENDED_BY_TIMEOUT = (124, 143, 137)
#: Exit codes that mean more than a failure, if the script's own notes say so; a stranger's 4 may mean anything.
_MEANT = {
    4: ("partial", Outcome.PARTIAL),
    5: ("blocked", Outcome.BLOCKED),
    6: ("quarantined", Outcome.QUARANTINED),
}
#: Outcomes after which nothing in the target can be tidied up.
_UNREACHABLE = (Outcome.TARGET_UNKNOWN, Outcome.TARGET_STOPPED, Outcome.TARGET_LOST, Outcome.NO_PROXMOX)

Choose = Callable[[int | None, Mapping[str, str]], Target]


@dataclass
class Cancel:
    """Watch for the wish to cancel; a container is asked to end the script before ``pct exec`` itself is ended."""

    marker: Path
    halt: Callable[[], None]
    needs_halt: bool
    tick: Callable[[], float] = time.monotonic
    wished: bool = False
    tries: int = 0
    last: float = field(default=float("-inf"))

    def __call__(self) -> bool:
        """Return True when the program that was started here must end now."""
        self.wished = self.wished or self.marker.exists()
        if not self.wished or not self.needs_halt:
            return self.wished
        if self.tick() - self.last < HALT_PAUSE:
            return False
        if self.tries >= HALT_TRIES:
            return True
        self.tries += 1
        self.halt()
        self.last = self.tick()
        return False


@dataclass(frozen=True)
class Supervisor:
    """One job's run, from its order to its result."""

    directory: Path
    environ: Mapping[str, str]
    #: The SHA-256 of the order that may be run, told by who verified it; see :func:`nanny_ops.machine.job.seal`.
    seal: str
    choose: Choose = choose
    now: Callable[[], datetime] = clock.now

    def supervise(self) -> None:
        """Run the job unless it was begun before, and write its result. The caller holds the job's lock."""
        if (self.directory / "started").exists() or (self.directory / "result.json").exists():
            return
        began, ticks = self.now(), time.monotonic()
        log.info("event=job_supervised job=%s", self.directory.name)
        outcome, reason, done = self._attempt()
        result = JobResult(
            outcome=outcome.value,
            reason=reason,
            exit_code=None if done is None else _shell_code(done.exit_code),
            started_at=clock.stamp(began),
            finished_at=clock.stamp(self.now()),
            duration_ms=round((time.monotonic() - ticks) * 1000),
            packages=[] if done is None else _packages_or_none(done.stdout) or [],
            stdout_truncated=done is not None and done.stdout_truncated,
            stderr_truncated=done is not None and done.stderr_truncated,
        )
        write_result(self.directory, result)
        log.info("event=job_over job=%s outcome=%s reason=%r", self.directory.name, result.outcome, reason[:300])

    def _attempt(self) -> tuple[Outcome, str, Done | None]:
        if (self.directory / "cancel").exists():
            return Outcome.CANCELLED, "The order was cancelled before its script began.", None
        job = read_order(self.directory)
        if problem := _forged(job, self.seal):
            return problem.outcome, problem.reason, None
        interpreter = parse_shebang(job.script)
        if interpreter is None:
            return Outcome.INTERPRETER_MISSING, "The script has no '#!' line with the full path of a program.", None
        with sealed(job.script) as path:
            call = Call(
                job_id=job.job_id,
                script=self.directory / "script",
                sealed=path,
                sha256=job.sha256,
                interpreter=interpreter,
                arguments=job.argv,
                timeout=job.timeout_seconds,
            )
            return self._on_target(self.choose(job.vmid, self.environ), call, job.output_cap, job.vmid is not None)

    def _on_target(self, target: Target, call: Call, cap: int, needs_halt: bool) -> tuple[Outcome, str, Done | None]:
        problem = target.stage(call)
        if problem is not None:
            if problem.outcome not in _UNREACHABLE:
                target.unstage(call)
            return problem.outcome, problem.reason, None
        stopping = Cancel(self.directory / "cancel", lambda: target.halt(call.job_id), needs_halt)
        done = self._run(target, call, cap, stopping)
        outcome, reason = _judge(done, call.timeout, stopping.wished, lambda: target.explain(done))
        try:
            if outcome in (Outcome.TIMED_OUT, Outcome.CANCELLED):
                target.halt(call.job_id)
            if outcome not in _UNREACHABLE:
                target.unstage(call)
        except (OSError, MachineError) as wrong:  # what the script came to matters more than what it leaves behind
            self._log(wrong)
        return outcome, reason, done

    def _run(self, target: Target, call: Call, cap: int, stopping: Cancel) -> Done:
        (self.directory / "started").touch(mode=0o600, exist_ok=False)
        sync(self.directory)
        return run_to_files(
            target.argv(call),
            born=self._remember,
            timeout=target.deadline(call),
            stdout=self.directory / "stdout",
            stderr=self.directory / "stderr",
            cap=cap,
            stopping=stopping,
            env=target.environment(),
            cwd="/",
        )

    def _remember(self, leader: int) -> None:
        """Write down which session runs the script, for a look after this process was killed."""
        try:
            (self.directory / "session").write_text(mark(leader))
        except OSError as wrong:  # the script runs by now, and goes on
            self._log(wrong)

    def _log(self, wrong: BaseException) -> None:
        log.error("event=supervisor_trouble job=%s reason=%r", self.directory.name, str(wrong)[:500])
        with contextlib.suppress(OSError), (self.directory / "supervisor.log").open("a") as file:
            file.writelines(traceback.format_exception(wrong))

    def confess(self, wrong: BaseException) -> None:
        """Write down that this process itself broke; its trace comes second, where there is room."""
        now = clock.stamp(self.now())
        reason = f"The supervisor of the job broke: {type(wrong).__name__}: {wrong}"[:1000]
        result = JobResult(
            outcome=Outcome.AGENT_ERROR.value,
            reason=reason,
            exit_code=None,
            started_at=now,
            finished_at=now,
            duration_ms=0,
        )
        write_result(self.directory, result)
        self._log(wrong)


def _forged(job: ScriptJob, wanted: str) -> Problem | None:
    """Say why what was read from the disk must not be run: it is not what was handed over, or not signed as it was."""
    if seal(job) != wanted:
        return Problem(Outcome.CHECKSUM_MISMATCH, "The order on disk is not the one that was verified; it was not run.")
    if hashlib.sha256(job.script).hexdigest() != job.sha256:
        return Problem(Outcome.CHECKSUM_MISMATCH, "The script on disk is not the one that was verified.")
    try:
        good = {one.public_key for one in job.signatures if _holds(job, one)} if job.threshold else set()
    except (MachineError, ValidationFailed) as wrong:
        return Problem(Outcome.SIGNATURE_UNCHECKED, f"{wrong.message} The script was not run.")
    if len(good) >= job.threshold:
        return None
    sentence = f"Just before its start {len(good)} of {job.threshold} signatures of the script held; it was not run."
    return Problem(Outcome.SIGNATURE_INVALID, sentence)


def _holds(job: ScriptJob, one: KeySignature) -> bool:
    key = decode(one.public_key, KEY_SIZE, "public_key")
    signature = decode(one.signature, SIGNATURE_SIZE, "signature")
    message = script_message(job.script_id, job.sha256)
    return verify(VerifySignature(public_key=key, message=message, signature=signature)).valid


def _judge(done: Done, limit: int, cancelled: bool, explain: Callable[[], Problem | None]) -> tuple[Outcome, str]:
    """Say what a run came to, in a word and in a sentence."""
    if cancelled:
        return Outcome.CANCELLED, "The order was cancelled; the script and its children were ended."
    if done.timed_out or (done.seconds >= limit and done.exit_code in _ENDED_BY_TIMEOUT):
        return Outcome.TIMED_OUT, f"The script was ended after {limit} s with all its children."
    if done.exit_code != 0:
        problem = explain()
        return (problem.outcome, problem.reason) if problem else (_ended(done), _failure(done))
    if done.disk_full:
        return Outcome.DISK_FULL, "The script ended well, but no space was left for its output."
    try:
        packages = parse(done.stdout)
    except ValueError as wrong:
        return Outcome.BAD_OUTPUT, str(wrong)
    if not packages:
        return Outcome.NOTHING_TO_DO, "There is nothing to update."
    return Outcome.OK, f"{len(packages)} package{'s' if len(packages) > 1 else ''}."


def _ended(done: Done) -> Outcome:
    word, outcome = _MEANT.get(done.exit_code or 0, ("", Outcome.SCRIPT_FAILED))
    return outcome if word and note.read(done.stdout).ended == word else Outcome.SCRIPT_FAILED


def _failure(done: Done) -> str:
    lines = [line.strip() for line in done.stderr[-4096:].decode("utf-8", "replace").splitlines() if line.strip()]
    last = f": {plain(lines[-1][:300])}" if lines else "."
    return f"The script ended with exit code {_shell_code(done.exit_code)}{last}"


def _shell_code(code: int | None) -> int | None:
    """Write a death by signal as shells and containers do: 128 and the signal's number."""
    return 128 - code if code is not None and code < 0 else code


def _packages_or_none(stdout: bytes) -> list[PackageChange] | None:
    try:
        return parse(stdout)
    except ValueError:
        return None


def main(argv: list[str], environ: MutableMapping[str, str] = os.environ) -> int:
    """Take the job's lock, leave the caller, and see the job through; the exit code is for the launcher only."""
    directory = Path(argv[1])
    logging.basicConfig(stream=sys.stderr, level="INFO", format="%(levelname)s %(name)s %(message)s")
    with supervised(directory) as alone:
        if not alone:
            return BUSY
        _settle(argv[3:], environ)
        supervisor = Supervisor(directory, dict(environ), argv[2])
        try:
            supervisor.supervise()
        except Exception as wrong:  # noqa: BLE001  the one broad handler of this process
            supervisor.confess(wrong)
    return 0


def _settle(options: list[str], environ: MutableMapping[str, str]) -> None:
    """Go on apart from the launcher, who may go now; what systemd said to this process is not for its script."""
    if "--in-unit" not in options:
        daemonize()
        return
    readiness.tell(readiness.READY, environ)
    environ.pop("NOTIFY_SOCKET", None)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
