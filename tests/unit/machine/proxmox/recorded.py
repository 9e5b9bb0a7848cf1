"""A client that answers as real Proxmox VE did: replies to changes, and the tasks behind them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanny_ops.machine.proxmox.client import translate
from nanny_ops.machine.proxmox.task import Pace

GOLDEN = Path(__file__).parents[3] / "golden/proxmox"


def changes(version: str = "8.4") -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((GOLDEN / version / "changes.json").read_text())
    return recorded


@dataclass
class Time:
    """Time that passes only when somebody waits."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    @property
    def pace(self) -> Pace:
        return Pace(lambda: self.now, self.sleep, lambda: 0.5)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Recorded:
    """Answers the calls that it was given; a task is ``running`` for some looks and then as it was recorded."""

    looks: int = 2
    answers: dict[tuple[str, str], Any] = field(default_factory=dict)
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    #: Called with each call before it is answered; may raise.
    before: Callable[[str, str], None] = lambda method, path: None
    _tasks: dict[str, Any] = field(default_factory=dict)

    def give(self, name: str, version: str = "8.4") -> "Recorded":
        """Answer one recorded change, whatever its parameters."""
        entry = changes(version)[name]
        self.answers[entry["method"], entry["path"]] = entry
        if "final" in entry:
            self._tasks[f"nodes/{entry['final']['node']}/tasks/{entry['answer']}"] = [self.looks, entry]
        return self

    def say(self, path: str, *answers: Any, method: str = "GET") -> "Recorded":
        """Answer a call with these data, one after the other, the last for ever."""
        self.answers[method, path] = list(answers)
        return self

    def get(self, path: str, /, **parameters: Any) -> Any:
        return self._answer("GET", path, parameters)

    def post(self, path: str, /, **parameters: Any) -> Any:
        return self._answer("POST", path, parameters)

    def put(self, path: str, /, **parameters: Any) -> Any:
        return self._answer("PUT", path, parameters)

    def delete(self, path: str, /, **parameters: Any) -> Any:
        return self._answer("DELETE", path, parameters)

    def made(self, method: str) -> list[str]:
        """Return the paths that were called with a method."""
        return [path for used, path, _ in self.calls if used == method]

    def _answer(self, method: str, path: str, parameters: dict[str, Any]) -> Any:
        self.calls.append((method, path, parameters))
        self.before(method, path)
        task, _, what = path.rpartition("/")
        if task in self._tasks and method == "GET":
            return self._of_task(self._tasks[task], what, parameters)
        entry = self.answers.get((method, path))
        if path in self._tasks and method == "DELETE":
            self._tasks[path][0] = 0
            return None
        assert entry is not None, f"{method} {path} was not recorded"
        if isinstance(entry, list):
            found = entry.pop(0) if len(entry) > 1 else entry[0]
            if isinstance(found, Exception):
                raise found
            return found
        if entry["status"] >= 400:
            raise translate(entry["status"], entry["reason"], path, "root@pam!rig", "pve1:8006")
        return entry["answer"]

    def _of_task(self, task: list[Any], what: str, parameters: dict[str, Any]) -> Any:
        left, entry = task
        if what == "log":
            start = parameters.get("start", 0)
            lines = entry["log"] if left <= 0 else entry["log"][: entry.get("early", len(entry["log"]) - 1)]
            page = lines[start : start + parameters.get("limit", 50)]
            return [{"n": start + n, "t": text} for n, text in enumerate(page, 1)]
        task[0] = left - 1
        if left > 0:
            return {k: v for k, v in entry["final"].items() if k != "exitstatus"} | {"status": "running"}
        return entry["final"]


def refused(status: int, reason: str) -> Exception:
    return translate(status, reason, "somewhere", "root@pam!rig", "pve1:8006")
