"""Files of the cluster file system: looked at cheaply, never mistaken for one another."""

import os
from pathlib import Path

import pytest

from nanny_ops.errors import ProxmoxError, ProxmoxGone
from nanny_ops.machine.proxmox.pmxcfs import Pmxcfs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "nodes/pve1/lxc").mkdir(parents=True)
    (tmp_path / "local").symlink_to("nodes/pve1")
    (tmp_path / "nodes/pve1/lxc/101.conf").write_text("cores: 2\n")
    return tmp_path


def test_the_nodes_name_comes_from_its_link(root: Path) -> None:
    assert Pmxcfs(root).node() == "pve1"
    assert Pmxcfs(root / "missing").node() == ""


def test_a_settled_file_is_the_same_until_it_changes(root: Path) -> None:
    path = root / "nodes/pve1/lxc/101.conf"
    os.utime(path, (1000, 1000))
    files = Pmxcfs(root, now=lambda: 5000.0)
    first = files.stamp("pve1", "lxc", 101)
    assert first.same(files.stamp("pve1", "lxc", 101))
    path.write_text("cores: 4\n")
    os.utime(path, (1001, 1001))
    assert not files.stamp("pve1", "lxc", 101).same(first)
    assert files.read("pve1", "lxc", 101).current == {"cores": "4"}


def test_a_file_that_may_change_within_the_same_second_is_read_again(root: Path) -> None:
    os.utime(root / "nodes/pve1/lxc/101.conf", (1000, 1000))
    files = Pmxcfs(root, now=lambda: 1001.0)
    assert not files.stamp("pve1", "lxc", 101).same(files.stamp("pve1", "lxc", 101))


def test_a_guest_that_is_not_there_is_gone(root: Path) -> None:
    with pytest.raises(ProxmoxGone):
        Pmxcfs(root).stamp("pve1", "qemu", 101)
    with pytest.raises(ProxmoxGone):
        Pmxcfs(root).read("pve2", "lxc", 101)


def test_a_file_that_cannot_be_read_is_an_error(root: Path) -> None:
    (root / "nodes/pve1/lxc/102.conf").mkdir()
    with pytest.raises(ProxmoxError) as caught:
        Pmxcfs(root).read("pve1", "lxc", 102)
    assert not isinstance(caught.value, ProxmoxGone)
