"""What a lab lays into machines, with machines that are directories; tests/machines and Molecule have real ones."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.machine_lab import MachineLab
from nanny_ops.lab.systemd_machine import SystemdMachine


class Machine:
    """The files of a machine; it is on until its power is cut, and keeps what it was told to run."""

    host_address = address = "127.0.0.1"

    def __init__(self, rootfs: Path) -> None:
        self.rootfs, self.running = rootfs, True
        self.told: list[tuple[str, ...]] = []
        for folder in ("usr/sbin", "etc/systemd/system"):
            (rootfs / folder).mkdir(parents=True)

    def must(self, *argv: str, timeout: float = 60.0) -> str:
        assert self.running
        self.told.append(argv)
        return ""

    def cut_power(self) -> None:
        self.running = False

    def boot(self) -> None:
        self.running = True


@pytest.fixture
def machines(tmp_path: Path) -> dict[str, Machine]:
    return {f"pve{number}": Machine(tmp_path / f"root{number}") for number in (1, 2, 3)}


@pytest.fixture
def lab(machines: dict[str, Machine], tmp_path: Path) -> Iterator[MachineLab]:
    plan = LabPlan(nodes=3, guests=1, real=0)
    known = {name: cast("SystemdMachine", machine) for name, machine in machines.items()}
    with MachineLab(plan, tmp_path, tmp_path / "cache", machines=known) as opened:
        simulated = (opened.home / "simulated").resolve()
        yield opened
    shutil.rmtree(simulated, ignore_errors=True)


def test_a_machine_has_what_a_node_has(lab: MachineLab, machines: dict[str, Machine]) -> None:
    for name, machine in machines.items():
        pmxcfs = machine.rootfs / "etc/pve"
        assert (pmxcfs / "local").readlink() == Path(f"nodes/{name}")
        assert (pmxcfs / "nodes/pve1/lxc/101.conf").is_file()
        assert (pmxcfs / "pve-root-ca.pem").read_bytes() == lab.ca_file.read_bytes()
        assert f"/var/lib/lab {name} {lab.prefix}" in (machine.rootfs / "usr/sbin/pct").read_text()
        door = machine.rootfs / "var/lib/lab/door.json"
        assert json.loads(door.read_text())["ca_file"] == "/etc/pve/pve-root-ca.pem"
        assert door.stat().st_mode & 0o077 == 0
        assert ("systemctl", "enable", "--now", "pveproxy.socket") in machine.told
    ports = {(m.rootfs / "etc/systemd/system/pveproxy.service").read_text() for m in machines.values()}
    assert len(ports) == 3


def test_what_is_changed_is_changed_on_every_node(lab: MachineLab, machines: dict[str, Machine]) -> None:
    lab.cluster.update(101, tags="new")
    for machine in machines.values():
        assert "tags: new" in (machine.rootfs / "etc/pve/nodes/pve1/lxc/101.conf").read_text()
    lab.destroy(101)
    assert not (machines["pve3"].rootfs / "etc/pve/nodes/pve1/lxc/101.conf").exists()


def test_a_lost_machine_is_told_and_comes_back(lab: MachineLab, machines: dict[str, Machine]) -> None:
    lab.lose("pve2")
    assert (machines["pve2"].running, lab.cluster.nodes["pve2"].online, lab.cluster.quorate) == (False, False, True)
    lab.lose("pve3")
    assert not lab.cluster.quorate
    lab.revive("pve2")
    assert (machines["pve2"].running, lab.cluster.nodes["pve2"].online, lab.cluster.quorate) == (True, True, True)


def test_playbooks_are_told_of_files_and_of_no_secret(lab: MachineLab) -> None:
    told = lab.describe()
    secret = Path(told["secret_file"])
    assert lab.tokens["root@pam!lab"].secret == secret.read_text()
    assert secret.read_text() not in json.dumps(told)
    assert secret.stat().st_mode & 0o077 == 0
