"""What the daemon may read of a job: its two outputs, by name, and nothing else."""

import os
from pathlib import Path

_WAY, _OUTPUT = 0o710, 0o640


def share(jobs_dir: Path, job_id: str, gid: int) -> None:
    """Let a group read a job's outputs, also after a start that was cut short. Raises OSError."""
    folder = jobs_dir / job_id
    for path, mode in ((jobs_dir, _WAY), (folder, _WAY), (folder / "stdout", _OUTPUT), (folder / "stderr", _OUTPUT)):
        _open_to(path, mode, gid)


def _open_to(path: Path, mode: int, gid: int) -> None:
    try:
        found = path.lstat()
        if (found.st_gid, found.st_mode & 0o7777) != (gid, mode):
            os.chown(path, -1, gid, follow_symlinks=False)
            path.chmod(mode)
    except FileNotFoundError:
        return  # forgotten meanwhile
