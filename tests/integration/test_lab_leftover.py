"""A lab with real containers that is killed is cleaned up by the next one, and two labs do not meet."""

from pathlib import Path

import pytest

from nanny_ops.lab import demo_guest, leftover
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.image import cache_dir, lay_image, lift_image
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


def mounts(home: Path) -> int:
    """Count what is mounted below a lab."""
    return Path("/proc/self/mounts").read_text().count(f" {home}/")


def test_two_labs_run_beside_each_other(tmp_path: Path) -> None:
    need_real_containers()
    with Lab(PLAN, tmp_path / "one") as one, Lab(PLAN, tmp_path / "two") as two:
        assert one.guest(101).pid() != two.guest(101).pid()
        assert monitors(one.prefix) == monitors(two.prefix) == 1
        two.stop(101)
        assert one.guest(101).pid() is not None
    assert monitors(one.prefix) == monitors(two.prefix) == 0
    assert mounts(one.home) == mounts(two.home) == 0


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
        assert mounts(lab.home) == 0
        assert not lab.home.exists()
    finally:
        lab.close()


def test_what_one_container_writes_neither_the_image_nor_another_has(tmp_path: Path) -> None:
    need_real_containers()
    with Lab(LabPlan(nodes=1, guests=3, real=2), tmp_path) as lab:
        image = demo_guest.prepared_image(lab.cache)
        (lab.guest(101).rootfs / "etc/changed-here").write_text("changed\n")
        (lab.guest(101).rootfs / "usr/bin/apt").unlink()
        assert not (lab.guest(102).rootfs / "etc/changed-here").exists()
        assert not (image / "etc/changed-here").exists()
        assert (lab.guest(102).rootfs / "usr/bin/apt").exists()
        assert (image / "usr/bin/apt").exists()


def test_a_copy_is_made_where_no_overlay_is_possible(tmp_path: Path) -> None:
    need_real_containers()
    image = tmp_path / "a,b"  # a comma cannot stand in the options of a mount
    image.mkdir()
    (image / "file").write_text("x")
    root = tmp_path / "lxc/rootfs"
    assert lay_image(image, root) is False
    assert (root / "file").read_text() == "x"
    assert not root.is_mount()
    lift_image(root)
