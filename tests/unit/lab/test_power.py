"""Which hands run which guest."""

from pathlib import Path

import pytest

from nanny_ops.lab.inside import SimulatedInside
from nanny_ops.lab.lxc import Container
from nanny_ops.lab.power import LabPower
from nanny_ops.lab.pve.state.draft import draft
from nanny_ops.lab.pve.state.guest import Figures, Reading
from nanny_ops.lab.simulated import SimulatedGuest


def power(tmp_path: Path) -> LabPower:
    (tmp_path / "simulated/103").mkdir(parents=True)
    return LabPower(tmp_path, "nanny-t", Figures(lambda: 5000.0))


def test_a_machine_is_only_figures(tmp_path: Path) -> None:
    hands, machine = power(tmp_path), draft(201, "qemu", "pve1", "vm")
    hands.start(machine)
    assert hands.read(machine).running
    assert hands.shutdown(machine, 5)
    assert hands.read(machine) == Reading()


def test_a_container_that_is_not_real_is_simulated(tmp_path: Path) -> None:
    hands, guest = power(tmp_path), draft(103, "lxc", "pve1", "ct")
    assert isinstance(hands.hands(guest), SimulatedGuest)
    hands.start(guest)
    assert hands.read(guest).running
    hands.stop(guest)
    assert hands.read(guest) == Reading()
    hands.destroy(guest)
    assert not (tmp_path / "simulated/103").exists()


def test_a_real_container_is_lxcs(tmp_path: Path) -> None:
    assert power(tmp_path).hands(draft(101, "lxc", "pve1", "ct", real=True)) == Container(
        "nanny-t-101", tmp_path / "lxc"
    )


def test_a_machines_files_are_kept_as_far_as_they_were_made(tmp_path: Path) -> None:
    hands, machine = power(tmp_path), draft(201, "qemu", "pve1", "vm")
    inside = SimulatedInside(hands)
    hands.keep(machine, "none-yet")
    inside.write(machine, "/tmp/f", b"1")
    hands.keep(machine, "one")
    inside.write(machine, "/tmp/f", b"2")
    hands.bring_back(machine, "one")
    assert inside.read(machine, "/tmp/f") == b"1"
    hands.bring_back(machine, "none-yet")
    with pytest.raises(FileNotFoundError):
        inside.read(machine, "/tmp/f")
    hands.destroy(machine)
    assert not (tmp_path / "simulated/201").exists()


def test_a_machine_that_is_off_cannot_be_frozen(tmp_path: Path) -> None:
    hands, machine = power(tmp_path), draft(201, "qemu", "pve1", "vm")
    assert not hands.freeze(machine)
    hands.start(machine)
    assert hands.freeze(machine)
    hands.thaw(machine)
