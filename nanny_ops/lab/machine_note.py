"""A note on this host for each machine that somebody holds: who was killed has left one that nobody locks."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from nanny_ops.errors import MachineError

#: Gone with the host's own restart, as machines are; a lock holds between process namespaces, where numbers do not.
FOLDER = Path("/run/nanny-lab-machines")


class MachineNote:
    """The note of one machine, held from its making until :meth:`drop` or the end of this process."""

    def __init__(self, home: Path, folder: Path = FOLDER) -> None:
        """Write down that a machine's files lie in ``home``, whose last part is its name."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / home.name
        self._file = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        os.write(self._file, str(home.absolute()).encode())

    def drop(self) -> None:
        """Forget the machine; once only."""
        self.path.unlink(missing_ok=True)
        os.close(self._file)


def clear_abandoned(remove: Callable[[Path], object], folder: Path = FOLDER) -> list[str]:
    """Have the machines removed whose process is gone, and return their names; one that stays keeps its note."""
    return [path.name for path in sorted(folder.glob("*")) if _cleared(path, remove)]


def _cleared(path: Path, remove: Callable[[Path], object]) -> bool:
    try:
        with path.open("r+") as note:
            fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
            home = note.read()
            if home:  # else it is being written at this moment
                remove(Path(home))
                path.unlink(missing_ok=True)
            return bool(home)
    except (BlockingIOError, FileNotFoundError, MachineError):  # alive, cleared by another one, or for the next time
        return False
