"""Containers in a machine, with a machine that only notes what it is to run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from nanny_ops.errors import MachineError
from nanny_ops.lab.machine_power import MachineContainer, MachinePower
from nanny_ops.lab.pve.state.draft import draft
from nanny_ops.lab.pve.state.guest import Figures, Reading
from nanny_ops.lab.systemd_machine import SystemdMachine
from nanny_ops.machine.run import Done


class Machine:
    """Answers every program with the same."""

    def __init__(self, exit_code: int = 0, said: str = "") -> None:
        self.exit_code, self.said, self.running = exit_code, said, True
        self.rootfs, self.told = Path("/nowhere"), list[Sequence[str]]()

    def pid(self) -> int:
        return 1

    def run(self, argv: Sequence[str], **_options: Any) -> Done:
        self.told.append(argv)
        return Done(argv=tuple(argv), exit_code=self.exit_code, stdout=self.said.encode(), stderr=self.said.encode())

    def must(self, *argv: str, timeout: float = 0.0) -> str:
        self.told.append(argv)
        return self.said


def container(machine: Machine) -> MachineContainer:
    return MachineContainer("lab-101", Path("/var/lib/lab/lxc"), cast("SystemdMachine", machine))


def test_tools_run_in_the_machine() -> None:
    machine = Machine(said="1\n")
    made = container(machine)
    made.start()
    assert machine.told[-1] == ["lxc-start", "--lxcpath", "/var/lib/lab/lxc", "--name", "lab-101", "--daemon"]
    assert made.pid() == 1
    assert made.rootfs == Path("/nowhere/var/lib/lab/lxc/lab-101/rootfs")
    made.create(Path("/elsewhere"), "web1")
    assert machine.told[-1][-4:] == ("lab-101", "create", "/srv/guest", "web1")
    made.keep("s1")
    made.bring_back("s1")
    made.drop("s1")
    assert [one[-2] for one in machine.told[-3:]] == ["keep", "bring_back", "drop"]


def test_a_start_that_fails_says_why() -> None:
    with pytest.raises(MachineError, match="no such image"):
        container(Machine(1, "no such image")).start()


def test_what_ran_on_a_machine_that_is_off_is_told_as_before() -> None:
    machine = Machine(said="1\n")
    power = MachinePower(
        Path("/nowhere"), "lab", Figures(lambda: 0.0), {"pve1": cast("SystemdMachine", machine)}, lambda _vmid: "pve1"
    )
    guest = draft(101, "lxc", "pve1", "web1", real=True)
    assert power.read(guest).running
    machine.running = False
    assert power.read(guest).running
    assert power.container(101).usage() is None
    power.container(101).destroy()
    assert machine.told[-1][0] == "lxc-info"
    assert power.read(draft(102, "lxc", "pve1", "db1", real=True)) == Reading()
