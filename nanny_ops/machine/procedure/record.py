"""Which snapshots are ours: one small file each, written before Proxmox VE is asked to make it.

A name that only looks like ours is somebody's; nothing is ever removed because of its name.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from nanny_ops.machine import kept_file

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{1,39}")
FOLDER = "snapshots"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One snapshot of ours; ``made`` in seconds of the epoch, when it was asked for."""

    vmid: int
    name: str
    job_id: str
    made: float


class Records:
    """All of them, in a folder beside that of the jobs, so that they outlive the job that made them."""

    def __init__(self, jobs_dir: Path) -> None:
        """Take where the jobs are."""
        self._folder = jobs_dir.parent / FOLDER

    def add(self, record: Record) -> None:
        """Write one down for good. Raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        kept_file.replace(self._path(record), json.dumps(asdict(record)).encode())

    def remove(self, record: Record) -> None:
        """Forget one that is no longer there. Raises OSError."""
        self._path(record).unlink(missing_ok=True)

    def of(self, vmid: int) -> list[Record]:
        """Return a guest's, oldest first; a file that cannot be read counts as lost."""
        found = []
        for path in sorted(self._folder.glob(f"{vmid}.*.json")):
            try:
                record = Record(**json.loads(path.read_text()))
            except (OSError, ValueError, TypeError):
                continue
            if record.vmid == vmid and _NAME.fullmatch(record.name):
                found.append(record)
        return sorted(found, key=lambda record: (record.made, record.name))

    def _path(self, record: Record) -> Path:
        return self._folder / f"{record.vmid}.{record.name}.json"
