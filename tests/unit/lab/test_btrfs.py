"""Whether a directory can be snapshotted is asked of its file system; snapshots themselves need root and a disk."""

from pathlib import Path

from nanny_ops.lab import btrfs


def test_an_ordinary_directory_is_no_subvolume(tmp_path: Path) -> None:
    assert not btrfs.is_subvolume(tmp_path)
    assert not btrfs.is_subvolume(tmp_path / "missing")
    assert not btrfs.holds(Path("/proc"))
