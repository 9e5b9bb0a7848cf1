"""Backups by vzdump, and what it does without a word: freeze a guest whose storage cannot make snapshots.

Asked for the mode ``snapshot``, vzdump takes ``suspend`` for such a container, copies it once while it runs, and
freezes it for the second copy. Who must not be frozen is asked about first, and watched while it is backed up.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from nanny_ops.errors import BackupFreezes, ProxmoxError, TaskFailed
from nanny_ops.machine.proxmox import snapshot, task
from nanny_ops.machine.proxmox.power import Guest, await_idle
from nanny_ops.machine.proxmox.task import PACE, Api, Pace, Upid, abort, follow

Mode = Literal["snapshot", "suspend", "stop"]
#: Seconds for a backup, and for the guest's lock to be gone after it.
SECONDS, IDLE = 4 * 3600.0, 120.0
_MODE = re.compile(r"backup mode: (\w+)")
_FALL_BACK = re.compile(r"trying '(\w+)' mode instead")
_ARCHIVE = re.compile(r"creating (?:vzdump|Proxmox Backup Server) archive '([^']+)'")
_FAILED = re.compile(r"ERROR: Backup of VM \d+ failed - (.+)")
_FROZEN = "suspending guest"


@dataclass(frozen=True)
class Backup:
    """One backup that has ended well: the mode it was really made in, and where it lies."""

    guest: Guest
    asked: Mode
    mode: str
    archive: str
    frozen: bool
    warnings: int = 0
    #: The task that made it.
    upid: str = ""

    @property
    def fell_back(self) -> bool:
        """Return whether vzdump took another mode than it was asked for."""
        return self.mode != self.asked


def dump(
    api: Api,
    guest: Guest,
    storage: str,
    *,
    mode: Mode = "snapshot",
    may_freeze: bool = False,
    seconds: float = SECONDS,
    pace: Pace = PACE,
    watch: Callable[[], None] = lambda: None,
    cancelled: type[Exception] = BackupFreezes,
) -> Backup:
    """Back a guest up to a storage and return what was made.

    Without ``may_freeze`` a backup in mode ``snapshot`` that would freeze the guest is refused before it begins, or
    aborted when its log says so; so is one while ``watch`` raises ``cancelled``. Raises both of these, TaskFailed with
    vzdump's own reason, TaskUnfinished and what the client raises.
    """
    careful = mode == "snapshot" and not may_freeze
    if careful and guest.kind == "lxc" and not snapshot.possible(api, guest):
        raise BackupFreezes(f"A storage of {guest} cannot make snapshots; its backup would freeze it.")
    order = {"vmid": guest.vmid, "storage": storage, "mode": mode, "compress": "zstd"}
    upid = Upid.parse(api.post(f"nodes/{guest.node}/vzdump", **order))

    def look() -> None:
        watch()
        if careful:
            _watch(api, upid, guest)

    try:
        end = follow(api, upid, seconds, pace=pace, watch=look)
    except (BackupFreezes, cancelled):
        abort(api, upid, pace=pace)
        raise
    except TaskFailed as wrong:
        raise _explained(wrong, guest) from wrong
    await_idle(api, guest, IDLE, pace=pace)
    return replace(read_log(guest, mode, end.log, end.warnings), upid=upid.text)


def read_log(guest: Guest, asked: Mode, lines: list[str], warnings: int = 0) -> Backup:
    """Read from a backup's log what was made; the last mode that it names is the one it was made in."""
    text = "\n".join(lines)
    modes, archive = _MODE.findall(text), _ARCHIVE.search(text)
    mode = modes[-1] if modes else asked
    return Backup(guest, asked, mode, archive[1] if archive else "", _FROZEN in text, warnings)


def _watch(api: Api, upid: Upid, guest: Guest) -> None:
    """Raise BackupFreezes as soon as the log tells of another mode; a log that cannot be read now is read later."""
    try:
        text = "\n".join(task.log(api, upid))
    except ProxmoxError:
        return
    if found := _FALL_BACK.search(text):
        raise BackupFreezes(f"The backup of {guest} was aborted: vzdump went over to mode '{found[1]}'.", mode=found[1])


def _explained(wrong: TaskFailed, guest: Guest) -> TaskFailed:
    """Return the failure with the line of the log that says why; the exit status only says ``job errors``."""
    why = next((found[1] for line in wrong.details.get("log", ()) if (found := _FAILED.search(line))), "")
    return TaskFailed(f"The backup of {guest} failed: {why or wrong.message}", **wrong.details)
