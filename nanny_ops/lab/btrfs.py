"""Real snapshots: subvolumes of a btrfs, on a disk of its own that is a file here."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nanny_ops.lab.image import must
from nanny_ops.machine.run import run

#: Seconds for one call of btrfs, mkfs or mount.
DEADLINE = 60.0
#: Bytes of the file, which takes only what is written.
SIZE = 4 * 1024**3
#: The number that each subvolume's own directory has.
_TOP = 256


def holds(path: Path) -> bool:
    """Return whether a directory lies on a btrfs whose tools are there."""
    done = run(["stat", "--file-system", "--format=%T", str(path)], timeout=DEADLINE)
    return done.stdout.strip() == b"btrfs"


def is_subvolume(path: Path) -> bool:
    """Return whether a directory is a subvolume, which can be snapshotted."""
    return path.is_dir() and path.stat().st_ino == _TOP and holds(path)


def create(path: Path) -> None:
    """Make an empty subvolume. Raises MachineError."""
    must(["btrfs", "--quiet", "subvolume", "create", str(path)], DEADLINE)


def snapshot(source: Path, target: Path) -> None:
    """Make a subvolume that holds what another one holds now. Raises MachineError."""
    must(["btrfs", "--quiet", "subvolume", "snapshot", str(source), str(target)], DEADLINE)


def delete(path: Path) -> None:
    """Remove a subvolume. Raises MachineError."""
    must(["btrfs", "--quiet", "subvolume", "delete", str(path)], DEADLINE)


@contextmanager
def mounted(folder: Path, size: int = SIZE) -> Iterator[Path]:
    """Yield a directory that is a btrfs of ``size`` bytes over a loop device. Raises MachineError."""
    disk, place = folder / "disk", folder / "mounted"
    place.mkdir(parents=True)
    disk.touch()
    os.truncate(disk, size)
    must(["mkfs.btrfs", "--quiet", str(disk)], DEADLINE)
    must(["mount", "-o", "loop,noatime", str(disk), str(place)], DEADLINE)
    try:
        yield place
    finally:
        run(["umount", "--lazy", str(place)], timeout=DEADLINE)
        disk.unlink()
