"""Recognise a process session after its supervisor has died, across reuse of process numbers and reboots."""

from pathlib import Path

from nanny_ops.machine.boot import identity, started
from nanny_ops.machine.run import session_members


def mark(leader: int) -> str:
    """Return one line that names a living session for good: boot, number and start of its leader."""
    return f"{identity()} {leader} {_start(leader)}\n"


def living(text: str) -> int | None:
    """Return the number of a marked session that still has a living process, None if it has ended."""
    words = text.split()
    if len(words) != 3 or words[0] != identity() or not words[1].isdigit():
        return None
    leader = int(words[1])
    if _start(leader) not in (words[2], ""):
        return None  # the number belongs to another process now; while a session lives its number is not given away
    return leader if session_members(leader) else None


def _start(pid: int) -> str:
    return started(Path("/"), pid)
