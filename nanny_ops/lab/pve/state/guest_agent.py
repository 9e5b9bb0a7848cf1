"""The agent inside virtual machines: programs that run there, and whose result can be read once."""

import errno
import itertools
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.guest import Guest

#: Bytes of a program's output that the agent takes; one that says more hangs for ever.
OUTPUT_CAP = 16 << 20
#: Results that nobody has read and that are kept.
KEPT = 100


@dataclass(frozen=True)
class Ended:
    """How a program ended; ``code`` is minus the signal's number, None where it hangs on its output."""

    code: int | None
    out: bytes = b""
    err: bytes = b""
    #: The agent was restarted and knows nothing of it any more.
    lost: bool = False


class Inside(Protocol):
    """What can be done inside virtual machines."""

    def has(self, guest: Guest, program: str) -> bool:
        """Return whether there is such a program."""

    def run(self, guest: Guest, argv: Sequence[str], stdin: bytes) -> Ended:
        """Run a program to its end."""

    def read(self, guest: Guest, path: str) -> bytes:
        """Return a file's content. Raises OSError."""

    def write(self, guest: Guest, path: str, content: bytes) -> None:
        """Write a file. Raises OSError."""


#: Does what a program does: takes its arguments and its input.
Program = Callable[[Sequence[str], bytes], Ended]


@dataclass
class InMemory:
    """Machines that keep their files in memory and have only the programs that they are given."""

    programs: dict[str, Program] = field(default_factory=dict)
    files: dict[tuple[int, str], bytes] = field(default_factory=dict)

    def has(self, guest: Guest, program: str) -> bool:
        """Return whether there is such a program, the same in every machine that runs Linux."""
        return program in self.programs and not str(guest.conf.get("ostype", "l26")).startswith("w")

    def run(self, guest: Guest, argv: Sequence[str], stdin: bytes) -> Ended:
        """Run a program to its end, 127 where there is none."""
        return self.programs[argv[0]](argv, stdin) if self.has(guest, argv[0]) else Ended(127)

    def read(self, guest: Guest, path: str) -> bytes:
        """Return a file's content. Raises FileNotFoundError."""
        if (guest.vmid, path) not in self.files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self.files[guest.vmid, path]

    def write(self, guest: Guest, path: str, content: bytes) -> None:
        """Write a file; every directory exists."""
        self.files[guest.vmid, path] = content


def check(guest: Guest, *, running: bool) -> None:
    """Raise Refusal unless the agent of a machine answers."""
    if not guest.agent:
        raise Refusal(500, "No QEMU guest agent configured")
    if not running:
        raise Refusal(500, f"VM {guest.vmid} is not running")
    if not guest.habits.agent_answers:
        raise Refusal(500, "QEMU guest agent is not running")


@dataclass
class Programs:
    """Programs that were started in machines; ``spawn`` runs a function now or later."""

    inside: Inside = field(default_factory=InMemory)
    spawn: Callable[[Callable[[], None]], object] = field(default=lambda work: work())
    _ends: dict[tuple[int, int], Ended | None] = field(default_factory=dict)
    _pids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(150))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, guest: Guest, argv: Sequence[str], stdin: bytes) -> int:
        """Start a program and return its number. Raises Refusal where there is none of this name.

        The real daemon's worker dies of the quotation marks in the agent's complaint: an empty answer after 5 s.
        """
        if not argv or not self.inside.has(guest, argv[0]):
            raise Refusal(596, "Broken pipe", delay=5.0)
        with self._lock:
            pid = next(self._pids)
            self._ends[guest.vmid, pid] = None
            while len(self._ends) > KEPT:
                del self._ends[next(iter(self._ends))]

        def work() -> None:
            end = self.inside.run(guest, argv, stdin)
            with self._lock:
                if end.lost:
                    self._ends.pop((guest.vmid, pid), None)
                elif end.code is not None and (guest.vmid, pid) in self._ends:
                    self._ends[guest.vmid, pid] = end

        self.spawn(work)
        return pid

    def result(self, guest: Guest, pid: int) -> dict[str, Any]:
        """Return how a program stands; once it has ended this can be asked only once. Raises Refusal."""
        with self._lock:
            if (guest.vmid, pid) not in self._ends:
                raise Refusal(500, "Agent error: Invalid parameter 'pid'")
            end = self._ends[guest.vmid, pid]
            if end is None:
                return {"exited": 0}
            del self._ends[guest.vmid, pid]
        return _told(end)


def _told(end: Ended) -> dict[str, Any]:
    code = end.code or 0
    found: dict[str, Any] = {"exited": 1} | ({"signal": -code} if code < 0 else {"exitcode": code})
    for name, data in (("out", end.out), ("err", end.err)):
        # Bytes are told as letters of the same number, not decoded.
        found |= {f"{name}-data": data.decode("latin-1"), f"{name}-truncated": 0} if data else {}
    return found
