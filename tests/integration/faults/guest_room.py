"""One guest of a play: what Proxmox VE tells of it, and what runs in it; scripts go on when nobody listens."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanny_ops.machine.run import Done
from nanny_ops.machine.target import MARGIN, Call, Problem, Standing
from nanny_ops.protocol.operation import Outcome
from tests.fakes import question_round
from tests.fakes.guest_node import NODE, GuestNode

LIST = b'[{"name":"app","version":"2"}]\n'
DF = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/x 9 9 4194304 1% /\n"
#: Seconds of one errand, of one look at a program that runs, and until a program that is halted has ended.
ERRAND, LOOK = 0.2, 1.0


@dataclass
class Errands:
    """What a supervisor needs to live: its steps, at each of which it may be killed, and its pauses."""

    step: Callable[[str], None]
    sleep: Callable[[float], None]
    now: Callable[[], float]


@dataclass
class Run:
    """One program in the guest; times in seconds of the play."""

    began: float
    ends: float
    code: int | None
    change: str = ""
    over: bool = False
    #: It was ended from outside with all that would tell how.
    gone: bool = False


@dataclass
class Room(GuestNode):
    """A guest whose programs take time. ``codes`` and ``change`` say what the next programs come to."""

    host: bool = False
    length: float = 3.0
    #: Exit codes by the last words of a job's id: ``script`` and ``hook-1`` ...
    codes: dict[str, int] = field(default_factory=dict)
    change: str = "2"
    #: Looks after which the client that waits for a program dies, without it; 0 never.
    client_dies: int = 0
    #: How often a task of a kind fails before it goes well.
    faults_left: dict[str, int] = field(default_factory=dict)
    play_now: Callable[[], float] = lambda: 0.0
    programs: dict[str, Run] = field(default_factory=dict)
    begun: Counter[str] = field(default_factory=Counter)
    #: What there was to go back to when each program began.
    kept_at: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    overlaps: list[str] = field(default_factory=list)

    def settle(self) -> None:
        """Let happen what has happened by now."""
        for run in self.programs.values():
            if not run.over and self.play_now() >= run.ends:
                run.over = True
                if run.change:
                    self.disk["app"] = run.change

    def begin(self, job_id: str, timeout: float) -> None:
        """Begin a program."""
        self.settle()
        others = [name for name, run in self.programs.items() if not run.over]
        self.overlaps += [f"{job_id} beside {other}" for other in others]
        self.begun[job_id] += 1
        ours = [name for name in self.snapshots if name.startswith("nanny-")]
        self.kept_at[job_id] = ours + [str(one["volid"]) for one in self.backups]
        _, _, hook = job_id.partition("-hook-")
        code = self.codes.get(f"hook-{hook}" if hook else "script", 0)
        length, now = 0.5 if hook else self.length, self.play_now()
        late = length > timeout
        change = "" if hook or late else self.change
        self.programs[job_id] = Run(now, now + min(length, timeout), 124 if late else code, change)

    def end(self, job_id: str) -> None:
        """End a program from outside."""
        self.settle()
        run = self.programs.get(job_id)
        if run is not None and not run.over:
            run.over, run.code, run.change = True, 143, ""

    def power(self, running: bool) -> None:
        """Switch the guest on or off, as a person does."""
        self._power(running)

    def _power(self, running: bool) -> None:
        self.settle()
        if not running:
            for run in self.programs.values():
                run.gone = run.gone or not run.over
                run.over = True
        self.running = running

    def _roll_back(self, name: str) -> None:
        self._power(False)
        super()._roll_back(name)

    def _task(self, kind: str, work: Callable[[], object]) -> str:
        if self.faults_left.get(kind, 0) > 0:
            self.faults_left[kind] -= 1
            kept, self.faults[kind] = self.faults.get(kind), "it failed, as drawn"
            upid = super()._task(kind, work)
            if kept is None:
                del self.faults[kind]
            return upid
        return super()._task(kind, work)


@dataclass
class Wire:
    """A supervisor's way to the API; it may be killed before each call, and after it before it hears the answer."""

    room: Room
    errands: Errands

    def get(self, path: str, /, **parameters: Any) -> Any:
        return self.room.get(path, **parameters)

    def post(self, path: str, /, **parameters: Any) -> Any:
        return self._change(f"POST {path}", lambda: self.room.post(path, **parameters))

    def delete(self, path: str, /, **parameters: Any) -> Any:
        return self._change(f"DELETE {path}", lambda: self.room.delete(path, **parameters))

    def close(self) -> None:
        """Hold nothing."""

    def _change(self, what: str, work: Callable[[], Any]) -> Any:
        self.errands.step(f"before {what}")
        answer = work()
        self.errands.sleep(ERRAND)
        self.errands.step(f"after {what}")
        return answer


@dataclass
class Inside:
    """The target of one supervisor, and what it starts there."""

    room: Room
    errands: Errands

    def stage(self, call: Call) -> Problem | None:
        self._errand(f"stage {call.job_id}")
        assert call.sealed.read_bytes(), "a script arrives whole"
        return self._unusable()

    def hand_over(self, call: Call) -> tuple[list[str], bytes]:
        return self.argv(call), call.sealed.read_bytes()

    def argv(self, call: Call) -> list[str]:
        return ["run", call.job_id, str(call.timeout)]

    def follow(self, job_id: str, known: tuple[int, int]) -> list[str]:
        return ["follow", job_id, str(known[0])]

    def deadline(self, call: Call) -> float:
        return call.timeout + MARGIN

    def environment(self) -> Mapping[str, str]:
        return {}

    def halt(self, job_id: str) -> None:
        self._errand(f"halt {job_id}")
        if not self.room.host:
            self.room.end(job_id)

    def explain(self, done: Done) -> Problem | None:
        del done
        found = self._unusable()
        return Problem(Outcome.TARGET_LOST, found.reason) if found else None

    def unstage(self, call: Call) -> None:
        self._errand(f"unstage {call.job_id}")

    def standing(self, job_id: str) -> Standing:
        self._errand(f"standing {job_id}")
        self.room.settle()
        run = self.room.programs.get(job_id)
        if self._unusable():
            return Standing.UNHEARD
        if run is None or run.gone or self.room.host:
            return Standing.GONE
        return Standing.ENDED if run.over else Standing.RUNNING

    def command(self, argv: Sequence[str], seconds: float) -> Done:
        del seconds
        self._errand(f"command {argv[0]}")
        self.room.settle()
        if problem := self._unusable():
            return _done(255, stderr=problem.reason.encode())
        return question_round.answer(argv, self._one) if question_round.is_round(argv) else self._one(argv)

    def _one(self, argv: Sequence[str]) -> Done:
        if argv[0] == "df":
            return _done(0, DF.encode())
        if argv[0] == "systemctl":
            well = self.room.disk["app"] != "broken"
            return _done(0, b"active\n") if well else _done(3, b"failed\n")
        return _done(0)

    def start(self, argv: list[str], *, timeout: float, stdout: Path, stderr: Path, **options: Any) -> Done:
        """Do what a client does that runs a program there, or listens to it again."""
        del stderr
        verb, job_id, word = argv
        stopping: Callable[[], bool] = options["stopping"]
        self.errands.step(f"before {verb} {job_id}")
        began, known = self.errands.now(), int(word) if verb == "follow" else 0
        if verb == "run":
            stdout.write_bytes(b"")
            if problem := self._unusable():
                return _done(255, stderr=problem.reason.encode())
            self.room.begin(job_id, float(word))
        self.errands.step(f"after {verb} {job_id}")
        looks = 0
        while True:
            self.room.settle()
            run = self.room.programs[job_id]
            seconds = self.errands.now() - began
            if run.gone or self.room.where != NODE:
                return _done(137, seconds=seconds)
            if run.over:
                said = LIST if run.code == 0 else b""
                with stdout.open("ab") as file:
                    file.write(said[known:])
                return _done(run.code, said, seconds=seconds)
            looks += 1
            if verb == "run" and looks == self.room.client_dies and not self.room.host:
                return _done(-9, seconds=seconds)
            if stopping() or seconds > timeout:
                self.room.end(job_id)
                return _done(-15, seconds=seconds, stopped=seconds <= timeout, timed_out=seconds > timeout)
            self.errands.sleep(LOOK)

    def _errand(self, what: str) -> None:
        self.errands.step(f"before {what}")
        self.errands.sleep(ERRAND)

    def _unusable(self) -> Problem | None:
        if self.room.host:
            return None
        if self.room.where != NODE:
            return Problem(Outcome.TARGET_UNKNOWN, "There is no such container on this node.")
        return None if self.room.running else Problem(Outcome.TARGET_STOPPED, "The container is not running.")


def _done(code: int | None, stdout: bytes = b"", stderr: bytes = b"", **more: Any) -> Done:
    return Done(argv=(), exit_code=code, stdout=stdout, stderr=stderr, **more)
