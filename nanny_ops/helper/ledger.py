"""Jobs that were begun and forgotten: none of them is begun a second time, whoever asks."""

import os
import threading
from pathlib import Path

from nanny_ops.errors import MachineError

#: Ids remembered; the oldest go.
CAP = 10_000


class Ledger:
    """A file of ids, one a line, replaced whole."""

    def __init__(self, path: Path, cap: int = CAP) -> None:
        """Name the file; nothing is read yet."""
        self._path, self._cap, self._lock = path, cap, threading.Lock()

    def __contains__(self, job_id: str) -> bool:
        """Tell whether a job was noted. Raises MachineError where that cannot be known."""
        return job_id in self._read()

    def add(self, job_id: str) -> None:
        """Note a job; it is on the disk afterwards. Raises MachineError."""
        with self._lock:
            known = self._read()
            if job_id not in known:
                self._write([*known, job_id][-self._cap :])

    def _read(self) -> list[str]:
        try:
            return self._path.read_text("ascii").split()
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as wrong:
            raise MachineError(f"{self._path} cannot be read: {wrong}") from wrong

    def _write(self, known: list[str]) -> None:
        draft = self._path.with_name(self._path.name + ".new")
        try:
            with draft.open("w") as file:
                file.write("\n".join(known) + "\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as wrong:
            raise MachineError(f"{self._path} cannot be written: {wrong.strerror}.") from wrong
