"""Recognise a process session after its supervisor has died, across reuse of process numbers and reboots."""

from pathlib import Path

from nanny_ops.machine.run import session_members

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def mark(leader: int) -> str:
    """Return one line that names a living session for good: boot, number and start of its leader."""
    return f"{_boot()} {leader} {_start(leader)}\n"


def living(text: str) -> int | None:
    """Return the number of a marked session that still has a living process, None if it has ended."""
    words = text.split()
    if len(words) != 3 or words[0] != _boot() or not words[1].isdigit():
        return None
    leader = int(words[1])
    if _start(leader) not in (words[2], ""):
        return None  # the number belongs to another process now; while a session lives its number is not given away
    return leader if session_members(leader) else None


def _boot() -> str:
    return _BOOT_ID.read_text().strip()


def _start(pid: int) -> str:
    """Return when a process began, in the kernel's ticks since boot; empty if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return stat.rpartition(")")[2].split()[19]
