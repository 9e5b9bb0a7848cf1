"""What can be said of a machine that is off; the rest is an end-to-end test."""

import os
import shutil
from pathlib import Path

import pytest

from nanny_ops.errors import MachineError
from nanny_ops.lab import systemd_machine
from nanny_ops.lab.systemd_machine import SystemdMachine


def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _program: None)
    expected = "apt-get install --no-install-recommends debootstrap iproute2 systemd-container"
    assert any(expected in text for text in systemd_machine.missing())


def test_an_unprivileged_person_is_told_to_be_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert systemd_machine.missing()[0] == "Machines need root; run as root or with sudo."


@pytest.mark.parametrize(
    ("number", "host", "own"),
    [("000000", "198.18.0.1", "198.18.0.2"), ("ffffff", "198.19.255.253", "198.19.255.254")],
)
def test_a_machine_has_two_addresses_by_its_number(number: str, host: str, own: str) -> None:
    machine = SystemdMachine(Path("/image"), Path("/lab"), number=number)
    assert (machine.host_address, machine.address) == (host, own)
    assert len(f"br-{machine.name}") <= 15, "longer names of links are refused by the kernel"


def test_a_machine_that_is_off_runs_nothing(tmp_path: Path) -> None:
    machine = SystemdMachine(tmp_path, tmp_path)
    assert not machine.running
    with pytest.raises(MachineError, match="is off"):
        machine.run(["true"])
    with pytest.raises(MachineError, match="is off"):
        machine.put(tmp_path, "/opt/x")
