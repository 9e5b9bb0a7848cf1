"""Which run of this machine it is: another one after each restart, and the same in every sandbox."""

import os
from pathlib import Path

#: Seconds after the kernel's start from which on a first process is that of a container.
LATE = 30.0


def identity(root: Path = Path("/")) -> str:
    """Return a word for this run of the machine, empty where nothing tells.

    A container has its host's boot id, or one that its manager has laid over the file and that a sandbox of systemd
    takes away again. What is its own, and seen alike from everywhere, is the start of its first process.
    """
    ticks = started(root, 1)
    if ticks.isdigit() and int(ticks) > LATE * os.sysconf("SC_CLK_TCK"):
        return f"container-{ticks}"
    try:
        return (root / "proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def started(root: Path, pid: int) -> str:
    """Return when a process began, in the kernel's ticks since its start; empty if the process is gone."""
    try:
        stat = (root / f"proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        return ""
    return stat.rpartition(")")[2].split()[19]
