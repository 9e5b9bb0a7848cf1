"""The processes of a run: all that descend from its keeper, or carry its mark.

Ansible's workers lead sessions of their own, so a process group does not hold them. The keeper therefore becomes the
parent of every orphan below it (prctl(2), PR_SET_CHILD_SUBREAPER), and each process inherits a mark in its environment.
"""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Collection
from pathlib import Path

#: The variable that marks all processes of a run.
MARK = "NANNY_PLAYBOOK_RUN"
PROC = Path("/proc")
_SUBREAPER = 36
#: Rounds of killing, and seconds between two: whoever forks faster than this is left to the next sweep.
ROUNDS, PAUSE = 50, 0.05


def adopt_orphans() -> None:
    """Become the parent of all that descends from this process and loses its own. Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def descendants(ancestor: int, proc: Path = PROC) -> set[int]:
    """Return the living processes below one."""
    parents = {pid: parent for pid in _numbers(proc) if (parent := _parent(proc / str(pid))) is not None}
    found: set[int] = set()
    layer = {ancestor}
    while layer:
        layer = {pid for pid, parent in parents.items() if parent in layer} - found
        found |= layer
    return found


def marked(run_id: str, proc: Path = PROC) -> set[int]:
    """Return the processes that carry a run's mark, and may be read by this user."""
    wanted = f"{MARK}={run_id}".encode()
    return {pid for pid in _numbers(proc) if wanted in _environment(proc / str(pid)).split(b"\0")}


def kill(find: Callable[[], Collection[int]], sleep: Callable[[float], None] = time.sleep) -> int:
    """Kill all that ``find`` finds, again and again until it finds nothing; return how many were met.

    The dead are left to whoever waits for them: ansible-runner asks how its own child ended.
    """
    met: set[int] = set()
    for _ in range(ROUNDS):
        found = set(find())
        if not found:
            break
        met |= found
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        sleep(PAUSE)
    return len(met)


def _numbers(proc: Path) -> list[int]:
    return [int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()]


def _parent(entry: Path) -> int | None:
    """Return a process's parent; None for one that has ended, even if nobody has collected it yet."""
    try:
        state, parent = (entry / "stat").read_bytes().rpartition(b")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return None if state in (b"Z", b"X") else int(parent)


def _environment(entry: Path) -> bytes:
    try:
        return (entry / "environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
