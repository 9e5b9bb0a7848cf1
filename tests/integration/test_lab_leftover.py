"""A lab with real containers that is killed is cleaned up by the next one, and two labs do not meet."""

from pathlib import Path

import pytest

from nanny_ops.lab import leftover
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.lab import Lab
from nanny_ops.lab.lxc import containers_in
from tests.lab_fixtures import need_real_containers

pytestmark = pytest.mark.lxc

PLAN = LabPlan(nodes=1, guests=2, real=1)


def monitors(prefix: str) -> int:
    """Count the processes that watch over containers whose names begin so."""
    found = 0
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += entry.read_bytes().startswith(b"[lxc monitor]") and prefix.encode() in entry.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_two_labs_run_beside_each_other(tmp_path: Path) -> None:
    need_real_containers()
    with Lab(PLAN, tmp_path / "one") as one, Lab(PLAN, tmp_path / "two") as two:
        assert one.guest(101).pid() != two.guest(101).pid()
        assert monitors(one.prefix) == monitors(two.prefix) == 1
        two.stop(101)
        assert one.guest(101).pid() is not None
    assert monitors(one.prefix) == monitors(two.prefix) == 0


def test_what_a_killed_lab_left_is_removed(tmp_path: Path) -> None:
    need_real_containers()
    lab = Lab(PLAN, tmp_path, cache=cache_dir({}))
    lab.open()
    try:
        dead = leftover.LabRecord(lab.lab_id, 0, 1, str(lab.home))
        dead.write(tmp_path / "cache")
        assert leftover.purge(tmp_path / "cache") == [lab.lab_id]
        assert containers_in(lab.home / "lxc") == []
        assert monitors(lab.prefix) == 0
        assert not lab.home.exists()
    finally:
        lab.close()
