"""One agent per state directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nanny_ops.errors import AlreadyRunning, SpoolError

NAME = "agent.lock"


@contextmanager
def hold(state_dir: Path) -> Iterator[None]:
    """Hold the directory's lock; the kernel frees it when the process dies. Raises AlreadyRunning, SpoolError."""
    path = state_dir / NAME
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as wrong:
        raise SpoolError(f"The state directory {state_dir} cannot be used: {wrong.strerror}.") from wrong
    try:
        _lock(file, state_dir)
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(file)


def _lock(file: int, state_dir: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(file, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise AlreadyRunning(f"Another agent uses {state_dir}: process {pid}.", pid=pid) from None


def holder(state_dir: Path) -> int | None:
    """Return the pid of the agent that holds the lock, or None; writes nothing and does not wait."""
    try:
        file = os.open(state_dir / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(file, 32, 0).strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(file)
    return None
