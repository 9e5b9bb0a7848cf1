"""What can be said of LXC containers without starting one; the rest is an integration test."""

import os
import shutil
from pathlib import Path

import pytest

from nanny_ops.lab import lxc
from nanny_ops.lab.lxc import Container, containers_in


def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _program: None)
    assert any("apt-get install --no-install-recommends debootstrap lxc" in text for text in lxc.missing())


def test_an_unprivileged_person_is_told_to_be_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert lxc.missing()[0] == "Real containers need root; run as root or with sudo."


def test_containers_are_found_by_their_configuration(tmp_path: Path) -> None:
    (tmp_path / "nanny-a-101").mkdir()
    (tmp_path / "nanny-a-101/config").touch()
    (tmp_path / "other").mkdir()
    found = containers_in(tmp_path)
    assert found == [Container("nanny-a-101", tmp_path)]
    assert found[0].rootfs == tmp_path / "nanny-a-101/rootfs"
