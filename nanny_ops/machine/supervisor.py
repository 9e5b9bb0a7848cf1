"""The process that sees one job through, from its order to its result, and outlives the agent.

Its call: ``python -m nanny_ops.machine.supervisor FOLDER SEAL``; with ``--in-unit`` systemd has started it for this
job alone, waits for a word that it is ready, and keeps what it logs.
"""

import contextlib
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from nanny_ops.errors import MachineError, VerbRefused
from nanny_ops.machine import occupied, qemu, readiness, silence, target_lock
from nanny_ops.machine.forgery import forged
from nanny_ops.machine.inside import Inside
from nanny_ops.machine.job import BUSY, read_order, supervised, sync, write_result
from nanny_ops.machine.plan import Plan
from nanny_ops.machine.procedure import access
from nanny_ops.machine.procedure.course import LOST, Course
from nanny_ops.machine.procedure.journal import Journal
from nanny_ops.machine.procedure.record import Records
from nanny_ops.machine.procedure.scene import Scene
from nanny_ops.machine.procedure.ward import Ward, local_node
from nanny_ops.machine.proxmox.task import Api, Pace
from nanny_ops.machine.run import Done, daemonize, run_to_files, signal_session
from nanny_ops.machine.script_run import ScriptRun, Verdict, packages_or_none, shell_code
from nanny_ops.machine.sealed import sealed
from nanny_ops.machine.session import living, mark
from nanny_ops.machine.shebang import parse as parse_shebang
from nanny_ops.machine.target import MARGIN, Call, Target, choose
from nanny_ops.machine.verbs import JobResult, ProxmoxAccess, ScriptJob
from nanny_ops.protocol import clock
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.patch_report import PatchReport

log = logging.getLogger("nanny_ops.machine.supervisor")  # whose __name__ is __main__
#: Seconds between two looks at a script that has lost its supervisor, and until it is killed after a cancel.
ORPHAN_PAUSE, ORPHAN_GRACE = 1.0, 10.0
UNTOUCHED = "The order was cancelled before its script began; nothing was changed."

Choose = Callable[[int | None, Mapping[str, str]], Target]
Connect = Callable[[ProxmoxAccess], access.Conversation]


@dataclass(frozen=True)
class Supervisor:
    """One job's run, from its order to its result."""

    directory: Path
    environ: Mapping[str, str]
    #: The SHA-256 of the order that may be run, told by who verified it; see :func:`nanny_ops.machine.job.seal`.
    seal: str
    choose: Choose = choose
    now: Callable[[], datetime] = clock.now
    connect: Connect = access.connect
    pace: Pace = field(default_factory=Pace)
    #: How time passes while a script runs, and what runs a program whose output grows in files.
    script_pace: Pace = field(default_factory=Pace)
    start: Callable[..., Done] = run_to_files
    open_journal: Callable[[Path, Callable[[], datetime]], Journal] = Journal

    def supervise(self) -> None:
        """See the job through, or take it up where another has left it. The caller holds the job's lock."""
        if (self.directory / "result.json").exists():
            return
        began = self.now()
        log.info("event=job_supervised job=%s", self.directory.name)
        journal = self.open_journal(self.directory, self.now)
        if journal.facts.get("began"):
            began = clock.parse_stamp(journal.facts["began"])
        verdict, report = self._see_through(journal)
        result = self._result(verdict, report, began)
        write_result(self.directory, result)
        log.info("event=job_over job=%s outcome=%s reason=%r", self.directory.name, result.outcome, result.reason[:300])

    def _see_through(self, journal: Journal) -> tuple[Verdict, PatchReport | None]:
        begun = (self.directory / "started").exists() or journal.begun_anything
        if not begun and (self.directory / "cancel").exists():
            return Verdict(Outcome.CANCELLED, UNTOUCHED), None
        job = read_order(self.directory)
        if problem := forged(job, journal.facts.get("seal", "") if begun else self.seal):
            lost = Verdict(Outcome.UNKNOWN, LOST)  # and without a good order nothing may be done about it
            return lost if begun else Verdict(problem.outcome, problem.reason), None
        if parse_shebang(job.script) is None:
            sentence = "The script has no '#!' line with the full path of a program."
            return Verdict(Outcome.INTERPRETER_MISSING, sentence), None
        with ExitStack() as stack:
            if busy := self._occupy(job, stack, begun=begun):
                return Verdict(Outcome.BLOCKED, busy), None
            call, scene = self._call(job, stack), self._scene(job, journal, stack)
            course = Course(scene, lambda begun: self._run(scene, call, begun), lambda: self._resume(scene, call))
            verdict = course.resume() if begun else self._begin(course, job)
            return verdict, course.report(verdict)

    def _occupy(self, job: ScriptJob, stack: ExitStack, *, begun: bool) -> str:
        """Hold the target until the stack ends; return why it cannot be had. What was begun is seen to its end anyway.

        First the lock, then the look at what runs without one: a script that lost its supervisor, a reboot under way.
        """
        jobs_dir = self.directory.parent
        try:
            stack.enter_context(target_lock.for_job(jobs_dir, job.job_id, job.vmid))
            if not begun:
                occupied.demand_for_job(jobs_dir, job, self.now, occupied.orphans)
        except VerbRefused as busy:
            if not begun:
                return busy.message
            self._log(busy)
        return ""

    def _begin(self, course: Course, job: ScriptJob) -> Verdict:
        """Go the whole way; a job without a plan has no steps around its script, and asks Proxmox VE nothing."""
        if job.plan is not None:
            course.scene.journal.note(seal=self.seal, began=clock.stamp(self.now()))
            return course.run()
        return course.run_plain(seal=self.seal, began=clock.stamp(self.now()))

    def _call(self, job: ScriptJob, stack: ExitStack) -> Call:
        interpreter = parse_shebang(job.script)
        assert interpreter is not None  # noqa: S101  it was looked at before
        return Call(
            job_id=job.job_id,
            script=self.directory / "script",
            sealed=stack.enter_context(sealed(job.script)),
            sha256=job.sha256,
            interpreter=interpreter,
            arguments=job.argv,
            timeout=job.timeout_seconds,
        )

    def _scene(self, job: ScriptJob, journal: Journal, stack: ExitStack) -> Scene:
        target, plan, notes = self._target(job, stack), job.plan or Plan(), list[str]()
        notice = silence.Notice(self.directory, notes, self.now, self._log)
        scripts = ScriptRun(
            directory=self.directory,
            target=target,
            cap=job.output_cap,
            needs_halt=job.vmid is not None,
            born=self._remember,
            log=self._log,
            sleep=self.script_pace.sleep,
            tick=self.script_pace.tick,
            start=self.start,
            stall=plan.stall_seconds,
            silent=notice.begun,
            spoke=notice.over,
        )
        api, node, why_not = self._proxmox(stack) if job.plan else (None, "", "The order has no plan.")
        ward = Ward(api, node, job.vmid, self.pace) if api is not None and job.vmid is not None else None
        return Scene(
            directory=self.directory,
            job=job,
            plan=plan,
            target=target,
            scripts=scripts,
            journal=journal,
            records=Records(self.directory.parent),
            ward=ward,
            no_ward=why_not,
            node_api=api if job.vmid is None else None,
            now=self.now,
            pace=self.pace,
            log=self._log,
            notes=notes,
        )

    def _target(self, job: ScriptJob, stack: ExitStack) -> Target:
        if job.vmid is None or job.guest == "lxc":
            return self.choose(job.vmid, self.environ)
        jobs_dir = self.directory.parent
        api = qemu.reach(jobs_dir, self.connect)
        stack.callback(api.close)
        return qemu.Qemu(job.vmid, Inside(api, job.vmid, self.pace), jobs_dir, self.environ, self.pace.sleep)

    def _proxmox(self, stack: ExitStack) -> tuple[Api | None, str, str]:
        """Return the API and the name of this node there, or why there is none."""
        try:
            found = access.read(self.directory.parent)
            if found is None:
                return None, "", "no access to its API is set up for jobs."
            api = self.connect(found.access)
        except MachineError as wrong:
            return None, "", wrong.message
        stack.callback(api.close)
        return api, found.node or local_node(api, os.uname().nodename.partition(".")[0]), ""

    def _run(self, scene: Scene, call: Call, begun: Callable[[], None]) -> Verdict:
        def mark_begun() -> None:
            begun()
            (self.directory / "started").touch(mode=0o600, exist_ok=False)
            sync(self.directory)

        return scene.scripts.run(call, begun=mark_begun)

    def _resume(self, scene: Scene, call: Call) -> Verdict | None:
        """Find a script again that another supervisor has begun; what it left on this host ends first."""
        self._await_orphan(scene, kill=scene.job.vmid is not None)
        return scene.scripts.resume(call)

    def _await_orphan(self, scene: Scene, *, kill: bool) -> None:
        """Wait for the session that runs the script here; a client of ``pct exec`` is killed, as the script goes on."""
        try:
            session = (self.directory / "session").read_text()
        except FileNotFoundError:
            return
        until = time.monotonic() + scene.job.timeout_seconds + MARGIN
        while (leader := living(session)) is not None:
            late = time.monotonic() > until
            if kill or late or scene.cancelled:
                signal_session(leader, signal.SIGTERM if scene.cancelled and not kill else signal.SIGKILL)
                until = min(until, time.monotonic() + ORPHAN_GRACE)
            time.sleep(ORPHAN_PAUSE)
            if time.monotonic() > until + ORPHAN_GRACE:
                return

    def _result(self, verdict: Verdict, report: PatchReport | None, began: datetime) -> JobResult:
        done, ended = verdict.done, self.now()
        return JobResult(
            outcome=verdict.outcome.value,
            reason=verdict.reason,
            exit_code=None if done is None else shell_code(done.exit_code),
            started_at=clock.stamp(began),
            finished_at=clock.stamp(ended),
            duration_ms=max(0, round((ended - began).total_seconds() * 1000)),
            packages=[] if done is None else packages_or_none(done.stdout) or [],
            stdout_truncated=done is not None and done.stdout_truncated,
            stderr_truncated=done is not None and done.stderr_truncated,
            report=report,
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


def main(argv: list[str], environ: MutableMapping[str, str] = os.environ) -> int:
    """Take the job's lock, leave the caller, and see the job through; the exit code is for the launcher only."""
    directory = Path(argv[1])
    logging.basicConfig(stream=sys.stderr, level="INFO", format="%(levelname)s %(name)s %(message)s")
    return see_to(directory, argv[2], environ, lambda code: None if code else _settle(argv[3:], environ))


def see_to(directory: Path, seal: str, environ: Mapping[str, str], settled: Callable[[int], None]) -> int:
    """Take a job's lock and see the job through; ``settled`` is told whether it has the lock, by the exit code."""
    with supervised(directory) as alone:
        settled(0 if alone else BUSY)
        if not alone:
            return BUSY
        supervisor = Supervisor(directory, dict(environ), seal)
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
