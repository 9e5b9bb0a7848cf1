"""Configurations, as the API shows them and as files."""

import hashlib
from dataclasses import replace
from pathlib import Path

from nanny_ops.lab.pve.conf import ConfTree, render, settings, with_digest
from nanny_ops.lab.pve.state.guest import Guest

CONTAINER = Guest(101, "lxc", "pve1", "web1", tags=("web", "prod"), description="One\ntwo", lock="backup", onboot=True)


def test_tags_are_sorted_and_what_is_false_is_absent() -> None:
    found = settings(CONTAINER)
    assert found["tags"] == "prod;web"
    assert found["onboot"] == 1
    assert "template" not in found
    assert "lock" not in settings(replace(CONTAINER, lock=""))


def test_a_machines_memory_is_a_text_and_a_containers_a_number() -> None:
    assert settings(Guest(201, "qemu", "pve1", "vm"))["memory"] == "512"
    assert settings(CONTAINER)["memory"] == 512


def test_the_description_stands_first_as_comments() -> None:
    assert render(CONTAINER).startswith("#One\n#two\narch: amd64\ncores: 1\n")


def test_the_digest_is_the_files() -> None:
    assert with_digest(CONTAINER)["digest"] == hashlib.sha1(render(CONTAINER).encode()).hexdigest()


def test_files_lie_where_the_cluster_file_system_has_them(tmp_path: Path) -> None:
    tree = ConfTree(tmp_path)
    machine = Guest(201, "qemu", "pve2", "vm")
    tree.write(CONTAINER)
    tree.write(machine)
    assert (tmp_path / "nodes/pve1/lxc/101.conf").read_text() == render(CONTAINER)
    assert [path.name for path in (tmp_path / "nodes/pve2/qemu-server").iterdir()] == ["201.conf"]
    tree.remove(machine)
    tree.remove(machine)
    assert not tree.path(machine).exists()
