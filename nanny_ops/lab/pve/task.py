"""Tasks: work that goes on behind a UPID, and what it came to."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from nanny_ops.errors import MachineError
from nanny_ops.lab.pve.access import Token
from nanny_ops.lab.pve.refusal import Refusal, wrong_parameters
from nanny_ops.lab.pve.state import Clock

#: Tasks that are remembered; older ones are forgotten.
KEPT = 1000


@dataclass
class Task:
    """One task; times in seconds of the epoch. ``exitstatus`` is ``OK`` or the error's text, empty while it runs."""

    upid: str
    node: str
    kind: str
    vmid: str
    user: str
    tokenid: str
    pid: int
    pstart: int
    starttime: int
    endtime: int = 0
    exitstatus: str = ""

    def status(self) -> dict[str, Any]:
        """Return what ``tasks/UPID/status`` answers."""
        names = ("upid", "node", "user", "tokenid", "pid", "pstart", "starttime")
        found = {name: getattr(self, name) for name in names} | {"type": self.kind, "id": self.vmid}
        if not self.exitstatus:
            return found | {"status": "running"}
        return found | {"status": "stopped", "exitstatus": self.exitstatus}

    def row(self) -> dict[str, Any]:
        """Return its line in a list of tasks, where ``status`` holds the exit status."""
        found = {name: value for name, value in self.status().items() if name not in {"status", "exitstatus"}}
        return found | ({"endtime": self.endtime, "status": self.exitstatus} if self.exitstatus else {})

    def log(self) -> list[dict[str, Any]]:
        """Return its log's lines."""
        if not self.exitstatus:
            return []
        text = "TASK OK" if self.exitstatus == "OK" else f"TASK ERROR: {self.exitstatus}"
        return [{"n": 1, "t": text}]


@dataclass
class Tasks:
    """All tasks of a cluster, run by a few threads until :meth:`close`."""

    clock: Clock
    _all: dict[str, Task] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4, "lab-task"))

    def begin(self, node: str, kind: str, vmid: int, token: Token, work: Callable[[], None]) -> str:
        """Start the work in the background and return the task's UPID."""
        with self._lock:
            pid, start = 10_000 + len(self._all), int(self.clock())
            pstart = int(self.clock() * 100) & 0x7FFFFFFF
            upid = f"UPID:{node}:{pid:08X}:{pstart:08X}:{start:08X}:{kind}:{vmid}:{token.token_id}:"
            task = Task(upid, node, kind, str(vmid), token.user, token.name, pid, pstart, start)
            self._all[upid] = task
            while len(self._all) > KEPT:
                del self._all[next(iter(self._all))]
        self._pool.submit(self._conduct, task, work)
        return upid

    def find(self, node: str, upid: str) -> Task:
        """Return a node's task. Raises Refusal 400."""
        if not upid.startswith("UPID:") or upid.count(":") != 8:
            raise wrong_parameters({"upid": "unable to parse worker upid"})
        with self._lock:
            task = self._all.get(upid)
        if task is None or task.node != node:
            raise wrong_parameters({"upid": "no such task"})
        return task

    def of(self, node: str) -> list[Task]:
        """Return a node's tasks, newest first."""
        with self._lock:
            return [task for task in reversed(self._all.values()) if task.node == node]

    def close(self) -> None:
        """Wait for what runs and take no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _conduct(self, task: Task, work: Callable[[], None]) -> None:
        outcome = "unexpected error"
        try:
            work()
            outcome = "OK"
        except Refusal as refusal:
            outcome = refusal.text
        except MachineError as wrong:
            outcome = wrong.message
        finally:
            task.endtime = int(self.clock())
            task.exitstatus = outcome
