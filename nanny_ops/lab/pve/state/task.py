"""Tasks: work that goes on behind a UPID, what it says meanwhile, and what it came to."""

import itertools
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from nanny_ops.errors import MachineError
from nanny_ops.lab.pve.refusal import Refusal, wrong_parameters
from nanny_ops.lab.pve.state.clock import Clock

#: Tasks that are remembered; older ones are forgotten.
KEPT = 1000
#: Tasks of one node that /cluster/tasks tells.
KEPT_BY_CLUSTER = 25
#: Lines of one log; a task that says more is a mistake of the lab.
LINES = 2000
#: Threads that conduct tasks; one more waits until another ends.
THREADS = 8
_UPID = re.compile(
    r"UPID:([^:\s]+):([0-9A-F]{8}):([0-9A-F]{8,9}):([0-9A-F]{8}):([^:\s]+):([^:\s]*):([^:\s]+):", re.IGNORECASE
)


class Interrupted(Exception):
    """Somebody aborted the task."""


class Pace(Protocol):
    """How long the lab's pretended work takes."""

    @property
    def factor(self) -> float:
        """Return which part of its real time it takes by the installation's clock."""

    def wait(self, seconds: float, interrupted: threading.Event) -> None:
        """Let ``seconds`` of the pretended work pass, or fewer when ``interrupted``."""


@dataclass(frozen=True)
class Lifelike:
    """Work takes ``factor`` times as long as on a real node."""

    factor: float = 1.0

    def wait(self, seconds: float, interrupted: threading.Event) -> None:
        """Wait."""
        interrupted.wait(seconds * self.factor)


@dataclass(frozen=True)
class Hurried:
    """Work takes no time; what takes time by the clock alone takes its whole time, and the clock is the test's."""

    factor: float = 1.0

    def wait(self, seconds: float, interrupted: threading.Event) -> None:
        """Do not wait."""


@dataclass
class Task:
    """One task; times in seconds of the epoch. ``exitstatus`` is ``OK`` or the error's text, empty while it runs."""

    upid: str
    node: str
    kind: str
    vmid: str
    #: ``name@realm``, of a token's task ``name@realm!token``.
    owner: str
    pid: int
    pstart: int
    starttime: int
    endtime: int = 0
    exitstatus: str = ""
    lines: list[str] = field(default_factory=list)
    warnings: int = 0
    interrupted: threading.Event = field(default_factory=threading.Event, repr=False)
    ended: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def user(self) -> str:
        """Return the owner without a token's name."""
        return self.owner.partition("!")[0]

    @property
    def tokenid(self) -> str:
        """Return the token's name, empty for a person's task."""
        return self.owner.partition("!")[2]

    def belongs_to(self, asking: str) -> bool:
        """Return whether ``name@realm`` or ``name@realm!token`` owns it; a person also owns their tokens' tasks."""
        return asking in {self.owner, self.user}

    def status(self) -> dict[str, Any]:
        """Return what ``tasks/UPID/status`` answers."""
        found = self._named() | self._owned() | {"pid": self.pid, "pstart": self.pstart}
        if not self.exitstatus:
            return found | {"status": "running"}
        return found | {"status": "stopped", "exitstatus": self.exitstatus}

    def row(self) -> dict[str, Any]:
        """Return its line in a node's list of ended tasks, where ``status`` holds the exit status."""
        ended = {"endtime": self.endtime, "status": self.exitstatus}
        return self._named() | self._owned() | {"pid": self.pid, "pstart": self.pstart} | ended

    def active_row(self) -> dict[str, Any]:
        """Return its line in a node's list of running tasks, where the owner is not taken apart."""
        running = {"user": self.owner, "saved": "0", "status": "RUNNING"}
        return self._named() | {"pid": self.pid, "pstart": self.pstart} | running

    def cluster_row(self) -> dict[str, Any]:
        """Return its line in /cluster/tasks."""
        ended = (
            {"saved": "1", "endtime": self.endtime, "status": self.exitstatus} if self.exitstatus else {"saved": "0"}
        )
        return self._named() | self._owned() | ended

    def verdict(self) -> str:
        """Return the word that lists are filtered by: ok, warning or error, empty while it runs."""
        if self.exitstatus in {"", "OK"}:
            return self.exitstatus.lower()
        return "warning" if self.exitstatus.startswith("WARNINGS") else "error"

    def log(self) -> list[str]:
        """Return its log so far; one that has said nothing has one line that says so."""
        return list(self.lines) or ["no content"]

    def _named(self) -> dict[str, Any]:
        return {
            "upid": self.upid,
            "node": self.node,
            "type": self.kind,
            "id": self.vmid,
            "starttime": self.starttime,
        }

    def _owned(self) -> dict[str, Any]:
        return {"user": self.user} | ({"tokenid": self.tokenid} if self.tokenid else {})


@dataclass(frozen=True)
class Worker:
    """What the work of a task may do to it."""

    task: Task
    pace: Pace

    def say(self, line: str) -> None:
        """Add a line to the log."""
        if len(self.task.lines) < LINES:
            self.task.lines.append(line)

    def warn(self, line: str) -> None:
        """Add a warning; a task with warnings ends as ``WARNINGS: N`` where it would have ended as ``OK``."""
        self.task.warnings += 1
        self.say(f"WARN: {line}")

    def take(self, seconds: float) -> None:
        """Let pretended work take time. Raises Interrupted when somebody aborts the task."""
        self.pace.wait(seconds, self.task.interrupted)
        if self.task.interrupted.is_set():
            raise Interrupted


#: Does a task's work; raises Refusal or MachineError where it fails.
Work = Callable[[Worker], None]


@dataclass
class Tasks:
    """All tasks of a cluster, run by a few threads until :meth:`close`; ``pace`` says how long they take.

    ``conduct`` runs a function now or later; tests pass one that runs it at once.
    """

    clock: Clock
    pace: Pace = field(default_factory=Lifelike)
    conduct: Callable[[Callable[[], None]], object] | None = None
    _all: dict[str, Task] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(10_000))
    _pool: ThreadPoolExecutor | None = None

    def begin(self, node: str, kind: str, vmid: int | str, owner: str, work: Work) -> str:
        """Start the work in the background and return the task's UPID; ``owner`` as in :class:`Task`."""
        task = self._new(node, kind, str(vmid), owner)
        self.spawn(lambda: self._conduct(task, work))
        return task.upid

    def add(self, task: Task) -> None:
        """Remember a task that ended before the lab was opened."""
        with self._lock:
            task.ended.set()
            self._remember(task)

    def find(self, node: str, upid: str) -> Task:
        """Return a node's task. Raises Refusal 400."""
        if not _UPID.fullmatch(upid):
            raise wrong_parameters({"upid": "unable to parse worker upid"})
        with self._lock:
            task = self._all.get(upid)
        if task is None or task.node != node:
            raise wrong_parameters({"upid": "no such task"})
        return task

    def of(self, node: str) -> list[Task]:
        """Return a node's tasks, newest first."""
        with self._lock:
            found = [task for task in reversed(self._all.values()) if task.node == node]
        return sorted(found, key=lambda task: -task.starttime)

    def of_cluster(self, nodes: list[str]) -> list[Task]:
        """Return the last tasks of each node, newest first."""
        found = [task for node in nodes for task in self.of(node)[:KEPT_BY_CLUSTER]]
        return sorted(found, key=lambda task: -task.starttime)

    def daemon_pid(self, node: str) -> int:
        """Return the number of the process that answers a node's calls without a task."""
        return 900 + sum(node.encode()) % 100

    def close(self) -> None:
        """Abort what runs and take no more."""
        for task in list(self._all.values()):
            task.interrupted.set()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def spawn(self, work: Callable[[], None]) -> None:
        """Run a function beside the calls, as a task's work is."""
        if self.conduct is not None:
            self.conduct(work)
            return
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(THREADS, "lab-task")
        self._pool.submit(work)

    def _new(self, node: str, kind: str, vmid: str, owner: str) -> Task:
        with self._lock:
            pid, now = next(self._pids), self.clock()
            pstart, start = int(now * 100) & 0x7FFFFFFF, int(now)
            upid = f"UPID:{node}:{pid:08X}:{pstart:08X}:{start:08X}:{kind}:{vmid}:{owner}:"
            task = Task(upid, node, kind, vmid, owner, pid, pstart, start)
            self._remember(task)
        return task

    def _remember(self, task: Task) -> None:
        self._all[task.upid] = task
        while len(self._all) > KEPT:
            del self._all[next(iter(self._all))]

    def _conduct(self, task: Task, work: Work) -> None:
        worker = Worker(task, self.pace)
        outcome = "unexpected status"
        try:
            work(worker)
            outcome = f"WARNINGS: {task.warnings}" if task.warnings else "OK"
        except Interrupted:
            outcome = "received interrupt"
        except Refusal as refusal:
            outcome = refusal.text
        except MachineError as wrong:
            outcome = wrong.message
        finally:
            fine = outcome == "OK" or outcome.startswith("WARNINGS")
            task.lines.append(f"TASK {outcome}" if fine else f"TASK ERROR: {outcome}")
            task.endtime = int(self.clock())
            task.exitstatus = outcome
            task.ended.set()
