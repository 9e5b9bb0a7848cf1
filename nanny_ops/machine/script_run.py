"""One run of one script on one target: bring it there, run it, judge its end, remove it; or find a run again.

What runs in a container goes on when ``pct exec`` or this process dies, and keeps its output and exit code in files; a
run is therefore attached to again instead of being given up, and never begun a second time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from nanny_ops.errors import MachineError
from nanny_ops.machine.packages import note
from nanny_ops.machine.run import Done, run_to_files
from nanny_ops.machine.silence import Silence
from nanny_ops.machine.target import Call, Problem, Standing, Target
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.package_list import parse, plain
from nanny_ops.protocol.patch import PackageChange
from nanny_ops.protocol.redaction import masked_end

#: Seconds between two requests to a container to end a script, and how often before ``pct`` itself is ended.
HALT_PAUSE, HALT_TRIES = 3.0, 3
#: Seconds between two attempts to attach to a run again, and how many in a row may fail.
REATTACH_PAUSE, REATTACH_TRIES = 5.0, 12
#: Exit codes with which a container's ``timeout`` ends: its own, and those of a program ended by TERM or KILL.
ENDED_BY_TIMEOUT = (124, 143, 137)
#: Exit codes that mean more than a failure, if the script's own notes say so; a stranger's 4 may mean anything.
MEANT = {
    4: ("partial", Outcome.PARTIAL),
    5: ("blocked", Outcome.BLOCKED),
    6: ("quarantined", Outcome.QUARANTINED),
}
#: Outcomes after which nothing in the target can be tidied up.
UNREACHABLE = (
    Outcome.TARGET_UNKNOWN,
    Outcome.TARGET_STOPPED,
    Outcome.TARGET_LOST,
    Outcome.NO_PROXMOX,
    Outcome.NO_GUEST_AGENT,
)


#: What is said of a script that was to be ended in a target that does not answer.
_STANDS_STILL = {Outcome.TIMED_OUT: "The script's time is over", Outcome.CANCELLED: "The order was cancelled"}
_GOES_ON = (
    "but the script could not be ended: its target does not answer, as one that a backup has frozen, or keeps it "
    "alive. When the target goes on, the script does so, until the time limit that it carries."
)


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
class Verdict:
    """What a run came to, in a word and in a sentence, and how its program ended where one was begun."""

    outcome: Outcome
    reason: str
    done: Done | None = None


@dataclass(frozen=True)
class ScriptRun:
    """Runs scripts of one job on its target; outputs and traces lie in the job's ``directory``."""

    directory: Path
    target: Target
    cap: int
    #: Whether ending the program here does not end the script there.
    needs_halt: bool
    born: Callable[[int], None] = lambda _leader: None
    log: Callable[[BaseException], None] = lambda _wrong: None
    sleep: Callable[[float], None] = time.sleep
    tick: Callable[[], float] = time.monotonic
    start: Callable[..., Done] = run_to_files
    #: Seconds without a word after which ``silent`` is told, a quarter of the script's own time at most; 0 never.
    stall: float = 0.0
    #: Takes the seconds, and with what the names of the outputs begin that have stopped growing.
    silent: Callable[[float, str], None] = lambda _seconds, _prefix: None
    #: Called when a script that was told to be silent speaks again, and at the end of each.
    spoke: Callable[[], None] = lambda: None
    #: Whether a script may be brought and begun in one go, where that saves a call; a torn one has not begun either.
    at_once: bool = False

    def run(self, call: Call, *, begun: Callable[[], None], prefix: str = "") -> Verdict:
        """Run a script to its end; ``begun`` is called just before it begins. Raises OSError from ``begun``."""
        handed = self.target.hand_over(call) if self.at_once else None
        problem = self.target.stage(call) if handed is None else None
        if problem is not None:
            if problem.outcome not in UNREACHABLE:
                self._tidy(call)
            return Verdict(problem.outcome, problem.reason)
        begun()
        stopping = self._stopping(call, prefix)
        argv, stdin = handed or (self.target.argv(call), None)
        done = self._start(argv, call, stopping, prefix, **({} if stdin is None else {"stdin": stdin}))
        return self._end(call, done, stopping, prefix)

    def resume(self, call: Call, *, prefix: str = "") -> Verdict | None:
        """Attach to a script that another process has begun, and see it to its end; None where it is gone."""
        stopping = self._stopping(call, prefix)
        for _ in range(REATTACH_TRIES):
            standing = self.target.standing(call.job_id)
            if standing is Standing.GONE:
                self._tidy(call)
                return None
            if standing is not Standing.UNHEARD:
                return self._end(call, self._follow(call, stopping, prefix), stopping, prefix)
            self.sleep(REATTACH_PAUSE)
        return None

    def _tidy(self, call: Call) -> None:
        """Remove what was brought there; a target that can no longer be reached keeps it."""
        try:
            self.target.unstage(call)
        except (OSError, MachineError) as wrong:
            self.log(wrong)

    def _stopping(self, call: Call, prefix: str) -> "_Stopping":
        cancel = Cancel(self.directory / "cancel", lambda: self.target.halt(call.job_id), self.needs_halt, self.tick)
        stall = min(self.stall, call.timeout / 4)

        def noticed(seconds: float) -> None:
            self.silent(seconds, prefix)

        silence = Silence(self._outputs(prefix), stall, self.cap, noticed, self.spoke, self.tick)
        return _Stopping(cancel, silence)

    def _outputs(self, prefix: str) -> tuple[Path, Path]:
        return self.directory / f"{prefix}stdout", self.directory / f"{prefix}stderr"

    def _start(
        self, argv: list[str], call: Call, stopping: Callable[[], bool], prefix: str, **more: bool | bytes
    ) -> Done:
        stdout, stderr = self._outputs(prefix)
        return self.start(
            argv,
            born=self.born,
            timeout=self.target.deadline(call),
            stdout=stdout,
            stderr=stderr,
            cap=self.cap,
            stopping=stopping,
            env=self.target.environment(),
            cwd="/",
            **more,
        )

    def _follow(self, call: Call, stopping: Callable[[], bool], prefix: str) -> Done:
        known = tuple(path.stat().st_size if path.exists() else 0 for path in self._outputs(prefix))
        argv = self.target.follow(call.job_id, (known[0], known[1]))
        return self._start(argv, call, stopping, prefix, append=True)

    def _end(self, call: Call, done: Done, stopping: "_Stopping", prefix: str) -> Verdict:
        done, problem = self._heard_out(call, done, stopping, prefix)
        self.spoke()
        outcome, reason = judge(
            done, call.timeout, stopping.cancel.wished, lambda: problem or self.target.explain(done)
        )
        if outcome is Outcome.TIMED_OUT and stopping.silence.longest > call.timeout / 2:
            reason += f" It had said nothing for its last {stopping.silence.longest:.0f} s."
        try:
            if outcome in (Outcome.TIMED_OUT, Outcome.CANCELLED):
                self.target.halt(call.job_id)
                if self.needs_halt and (done.timed_out or done.stopped) and not self._is_over(call, done):
                    return Verdict(Outcome.UNKNOWN, f"{_STANDS_STILL[outcome]}, {_GOES_ON}", done)
            if outcome not in UNREACHABLE:
                self.target.unstage(call)
        except (OSError, MachineError) as wrong:  # what the script came to matters more than what it leaves behind
            self.log(wrong)
        return Verdict(outcome, reason, done)

    def _is_over(self, call: Call, done: Done) -> bool:
        """Tell whether a script whose program here was ended is known to be over there too."""
        for _ in range(HALT_TRIES):
            standing = self.target.standing(call.job_id)
            if standing in (Standing.ENDED, Standing.GONE):
                return True
            if standing is Standing.UNHEARD:
                return self.target.explain(done) is not None  # what is stopped or gone runs no script
            self.sleep(HALT_PAUSE)
        return False

    def _heard_out(self, call: Call, done: Done, stopping: "_Stopping", prefix: str) -> tuple[Done, Problem | None]:
        """Attach again as long as the script goes on without the program that was started here."""
        until = self.tick() + self.target.deadline(call)
        for _ in range(REATTACH_TRIES):
            if not (self.needs_halt and _cut_off(done)) or stopping.cancel.wished or self.tick() > until:
                break
            standing = self.target.standing(call.job_id)
            if standing is Standing.GONE:
                return done, self.target.explain(done) or Problem(
                    Outcome.TARGET_LOST, "The script was cut short from outside, as by a restart of its container."
                )
            if standing is Standing.UNHEARD:
                if problem := self.target.explain(done):
                    return done, problem
                self.sleep(REATTACH_PAUSE)
                continue
            before, done = done, self._follow(call, stopping, prefix)
            done = replace(done, seconds=before.seconds + done.seconds)
            if standing is Standing.ENDED:
                break
        return done, None


@dataclass
class _Stopping:
    """What is asked while a script runs: whether it shall end, and whether it still says something."""

    cancel: Cancel
    silence: Silence

    def __call__(self) -> bool:
        """Return True when the program that was started here must end now."""
        self.silence.look()
        return self.cancel()


def _cut_off(done: Done) -> bool:
    """Tell whether a program may have ended without its script: by a signal, or with a code that wrappers use."""
    return not done.timed_out and not done.stopped and (done.exit_code is None or not 0 <= done.exit_code < 126)


def judge(done: Done, limit: int, cancelled: bool, explain: Callable[[], Problem | None]) -> tuple[Outcome, str]:
    """Say what a run came to, in a word and in a sentence."""
    if cancelled:
        return Outcome.CANCELLED, "The order was cancelled; the script and its children were ended."
    if done.timed_out or (done.seconds >= limit and done.exit_code in ENDED_BY_TIMEOUT):
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
    word, outcome = MEANT.get(done.exit_code or 0, ("", Outcome.SCRIPT_FAILED))
    return outcome if word and note.read(done.stdout).ended == word else Outcome.SCRIPT_FAILED


def _failure(done: Done) -> str:
    text = masked_end(done.stderr, 4096).decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = f": {plain(lines[-1][:300])}" if lines else "."
    return f"The script ended with exit code {shell_code(done.exit_code)}{last}"


def shell_code(code: int | None) -> int | None:
    """Write a death by signal as shells and containers do: 128 and the signal's number."""
    return 128 - code if code is not None and code < 0 else code


def packages_or_none(stdout: bytes) -> list[PackageChange] | None:
    """Return the list that a run has printed, None where there is none."""
    try:
        return parse(stdout)
    except ValueError:
        return None
