"""What a lab that was killed has left behind: a record per living lab, and how to clean up after dead ones."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from nanny_ops.lab import systemd_machine
from nanny_ops.lab.lxc import containers_in

#: What the name of a lab's throw-away base directory begins with.
SCRATCH = "nanny-lab-"


@dataclass(frozen=True)
class LabRecord:
    """One lab: its process by ``pid`` and start ``ticks`` (so that a reused number is no match), its directory."""

    lab_id: str
    pid: int
    ticks: int
    directory: str

    @property
    def alive(self) -> bool:
        """Return whether the process that opened it still runs."""
        return start_ticks(self.pid) == self.ticks

    def write(self, cache: Path) -> None:
        """Note the lab."""
        folder(cache).mkdir(parents=True, exist_ok=True)
        (folder(cache) / f"{self.lab_id}.json").write_text(json.dumps(asdict(self)))

    def forget(self, cache: Path) -> None:
        """Remove the note."""
        (folder(cache) / f"{self.lab_id}.json").unlink(missing_ok=True)


def folder(cache: Path) -> Path:
    """Return where the records lie."""
    return cache / "labs"


def records(cache: Path) -> list[LabRecord]:
    """Return the labs that were noted and not forgotten."""
    found = (json.loads(path.read_text()) for path in sorted(folder(cache).glob("*.json")))
    return [LabRecord(**entry) for entry in found]


def purge(cache: Path) -> list[str]:
    """Remove the containers and directories of labs whose process is dead; return their ids."""
    dead = [record for record in records(cache) if not record.alive]
    for record in dead:
        clear(Path(record.directory))
        record.forget(cache)
    return [record.lab_id for record in dead]


def clear(directory: Path) -> None:
    """Remove a lab's containers and machines, then its directory with the simulated guests that a link in it names."""
    for container in containers_in(directory / "lxc"):
        container.destroy()
    for home in sorted((directory / systemd_machine.FOLDER).glob("*")):
        systemd_machine.remove(home)
    simulated = directory / "simulated"
    if simulated.is_symlink():
        shutil.rmtree(simulated.resolve(), ignore_errors=True)
    shutil.rmtree(directory, ignore_errors=True)
    if directory.parent.name.startswith(SCRATCH) and directory.parent.is_dir() and not any(directory.parent.iterdir()):
        directory.parent.rmdir()


def start_ticks(pid: int) -> int:
    """Return when a process was started, in clock ticks since boot; 0 when there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return 0
