"""Outputs can be read by the group, and nothing else of a job."""

import os
import stat
from pathlib import Path

from nanny_ops.helper.share import share


def test_outputs_are_opened_and_the_rest_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / "op-1"
    folder.mkdir(mode=0o700, parents=True)
    for name in ("stdout", "stderr", "script", "order.json"):
        (folder / name).touch(mode=0o600)
    for _ in range(2):
        share(tmp_path / "jobs", "op-1", os.getegid())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
    closed = {"script": 0o600, "order.json": 0o600}
    assert modes == {"op-1": 0o710, "stdout": 0o640, "stderr": 0o640, **closed}


def test_a_job_that_is_gone_is_nothing(tmp_path: Path) -> None:
    share(tmp_path / "jobs", "op-1", os.getegid())
    assert not (tmp_path / "jobs").exists()
