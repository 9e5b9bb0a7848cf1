"""Cleaning up after labs whose process was killed."""

import os
import tempfile
from pathlib import Path

from nanny_ops.lab.leftover import SCRATCH, LabRecord, purge, records, start_ticks


def test_a_living_lab_is_left_alone(tmp_path: Path) -> None:
    record = LabRecord("aaa", os.getpid(), start_ticks(os.getpid()), str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    record.write(tmp_path)
    assert purge(tmp_path) == []
    assert (tmp_path / "home").is_dir()
    assert records(tmp_path) == [record]
    record.forget(tmp_path)
    assert records(tmp_path) == []


def test_a_dead_labs_directories_go(tmp_path: Path) -> None:
    base = tmp_path / f"{SCRATCH}x"
    elsewhere = Path(tempfile.mkdtemp(prefix="nanny-test-"))
    (base / "lab-bbb").mkdir(parents=True)
    (base / "lab-bbb/simulated").symlink_to(elsewhere)
    LabRecord("bbb", os.getpid(), start_ticks(os.getpid()) + 1, str(base / "lab-bbb")).write(tmp_path)
    assert purge(tmp_path) == ["bbb"]
    assert not base.exists()
    assert not elsewhere.exists()
    assert records(tmp_path) == []


def test_no_process_has_no_start() -> None:
    assert start_ticks(2**22 + 1) == 0
