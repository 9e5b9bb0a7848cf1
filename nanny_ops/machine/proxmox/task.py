"""Tasks of Proxmox VE: what a UPID names, and waiting until a task has truly ended.

An answer 200 with a UPID says only that work was begun. What it came to stands in the task's status, and nowhere else.
"""

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from nanny_ops.errors import (
    ProxmoxError,
    ProxmoxUnreachable,
    TaskFailed,
    TaskLost,
    TaskUnfinished,
)
from nanny_ops.machine.proxmox.refusal import meaning

#: Seconds between the first two looks at a task, and the most between any two.
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
#: Lines of a task's log that are read at once, and that are read at most.
PAGE, MOST_LINES = 500, 5000
#: Lines of the log that a failure is told with.
TAIL = 20
_UPID = re.compile(
    r"UPID:(?P<node>[A-Za-z0-9][A-Za-z0-9-]*):[0-9A-F]{8,}:[0-9A-F]{8,}:(?P<started>[0-9A-F]{8}):"
    r"(?P<kind>[^:\s/]+):(?P<about>[^:\s/]*):(?P<user>[^:\s/]+):"
)
_WARNINGS = re.compile(r"WARNINGS: (\d+)")


class Api(Protocol):
    """What is needed of a client."""

    def get(self, path: str, /, **parameters: Any) -> Any:
        """Return the data of ``GET /path``."""

    def post(self, path: str, /, **parameters: Any) -> Any:
        """Return the data of ``POST /path``."""

    def delete(self, path: str, /, **parameters: Any) -> Any:
        """Return the data of ``DELETE /path``."""


@dataclass(frozen=True)
class Pace:
    """How time passes for whoever waits: a clock and a pause, both in seconds, and dice for the jitter."""

    tick: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    dice: Callable[[], float] = random.random


PACE = Pace()


@dataclass(frozen=True)
class Upid:
    """One task's name, taken apart. ``about`` is the guest's number, or another thing, or empty."""

    text: str
    node: str
    kind: str
    about: str
    user: str
    #: Seconds of the epoch.
    started: int

    @classmethod
    def parse(cls, text: object) -> "Upid":
        """Take a UPID apart. Raises ProxmoxError for anything else, such as the null of a call that began no task."""
        found = _UPID.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ProxmoxError(f"Proxmox VE began no task; it answered {str(text)[:100]!r}.")
        return cls(found[0], found["node"], found["kind"], found["about"], found["user"], int(found["started"], 16))

    @property
    def path(self) -> str:
        """Return where the task is asked for: only the node that began it knows it."""
        return f"nodes/{self.node}/tasks/{self.text}"


@dataclass(frozen=True)
class TaskEnd:
    """How a task ended well; ``warnings`` counts what its log warns of."""

    upid: Upid
    warnings: int = 0
    log: list[str] = field(default_factory=list)


def follow(
    api: Api, upid: Upid, seconds: float, *, pace: Pace = PACE, watch: Callable[[], None] = lambda: None
) -> TaskEnd:
    """Wait until a task has ended well, for at most ``seconds``; ``watch`` is called before each look.

    A node that does not answer for a while is asked again until the deadline. The task goes on after a failure to
    follow it; see :func:`abort`. Raises TaskFailed or the error that its exit status names, TaskUnfinished, TaskLost.
    """
    exit_status = _await_end(api, upid, seconds, pace, watch)
    lines = _log_of_ended(api, upid)
    if succeeded(exit_status):
        warned = _WARNINGS.fullmatch(exit_status)
        return TaskEnd(upid, int(warned[1]) if warned else 0, lines)
    what = f"The task {upid.kind} on {upid.node}"
    details: dict[str, Any] = {"upid": upid, "exit_status": exit_status, "log": lines[-TAIL:]}
    raise meaning(exit_status, what, **details) or TaskFailed(f"{what} failed: {exit_status[:300]}", **details)


def abort(api: Api, upid: Upid, seconds: float = 30.0, *, pace: Pace = PACE) -> str:
    """Ask for a task's end, wait for it, and return its exit status; one that had ended stays as it was.

    Raises ProxmoxForbidden (another's task takes Sys.Modify), TaskUnfinished, TaskLost.
    """
    api.delete(upid.path)
    return _await_end(api, upid, seconds, pace, lambda: None)


def log(api: Api, upid: Upid) -> list[str]:
    """Return a task's log, at most :data:`MOST_LINES` lines. Raises ProxmoxError."""
    lines: list[str] = []
    while len(lines) < MOST_LINES:
        page = api.get(f"{upid.path}/log", start=len(lines), limit=PAGE)
        lines += [str(line.get("t", "")) for line in page or []]
        if len(page or []) < PAGE:
            break
    return lines[:MOST_LINES]


def succeeded(exit_status: str) -> bool:
    """Say whether an exit status means success: ``OK``, or ``WARNINGS`` with their number."""
    return exit_status == "OK" or _WARNINGS.fullmatch(exit_status) is not None


def _await_end(api: Api, upid: Upid, seconds: float, pace: Pace, watch: Callable[[], None]) -> str:
    until, pause = pace.tick() + seconds, FIRST_PAUSE
    while True:
        watch()
        status = _look(api, upid)
        if status is not None and status.get("status") != "running":
            return str(status.get("exitstatus", ""))
        if pace.tick() >= until:
            raise TaskUnfinished(f"The task {upid.kind} on {upid.node} has not ended after {seconds:.0f} s.", upid=upid)
        pace.sleep(min(pause * (0.75 + pace.dice() / 2), max(0.05, until - pace.tick())))
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _look(api: Api, upid: Upid) -> dict[str, Any] | None:
    """Return the task's status, None while the node does not answer."""
    try:
        status: dict[str, Any] = api.get(f"{upid.path}/status")
    except ProxmoxUnreachable:
        return None
    except ProxmoxError as wrong:
        if wrong.details.get("status") == 400:
            raise TaskLost(f"{upid.node} does not know the task {upid.text}.", upid=upid) from wrong
        raise
    return status


def _log_of_ended(api: Api, upid: Upid) -> list[str]:
    """Return the log of a task whose end is known; one that cannot be read changes nothing about the end."""
    try:
        return log(api, upid)
    except ProxmoxError as wrong:
        return [f"(the log could not be read: {wrong.message})"]
