"""A lab whose nodes are machines: each has its API on port 8006, /etc/pve, ``pct`` and its containers inside.

The state of the cluster is in this process, as the cluster file system of real nodes is in all of them. A machine that
is switched off takes its API and its containers with it, and the others are told.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import annotated_types

from nanny_ops.lab.image import copy_image
from nanny_ops.lab.inside import SimulatedInside
from nanny_ops.lab.lab import ADMIN_TOKEN, PROGRAMS, Lab
from nanny_ops.lab.machine_power import BY_CODE, PLACE, MachinePower
from nanny_ops.lab.pve.conf import ConfTree
from nanny_ops.lab.pve.state.guest import Figures, Guest
from nanny_ops.lab.pve.state.guest_agent import Programs
from nanny_ops.lab.systemd_machine import SystemdMachine

#: Where a node has the cluster's files, and its programs.
PMXCFS, PROGRAM_FOLDER = "/etc/pve", "/usr/sbin"
#: The port of the API, and the units behind it.
PORT, UNIT = 8006, "pveproxy"
SOCKET = f"""[Unit]
Description=The lab's API of Proxmox VE
[Socket]
ListenStream={PORT}
[Install]
WantedBy=sockets.target
"""
SERVICE = """[Unit]
Description=The lab's API of Proxmox VE
[Service]
ExecStart=/usr/lib/systemd/systemd-socket-proxyd {address}:{port}
"""


@dataclass(frozen=True)
class Spread:
    """The configuration files of the cluster, the same on each node."""

    trees: tuple[ConfTree, ...]

    def write(self, guest: Guest) -> None:
        """Write a guest's file everywhere."""
        for tree in self.trees:
            tree.write(guest)

    def remove(self, guest: Guest) -> None:
        """Remove a guest's file everywhere."""
        for tree in self.trees:
            tree.remove(guest)


@dataclass
class MachineLab(Lab):
    """A lab over running machines, ``machines`` by the names that the plan gives its nodes."""

    machines: Mapping[str, SystemdMachine] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Draw the cluster; nothing is started."""
        super().__post_init__()
        where: Callable[[int], str] = lambda vmid: self.cluster.guests[vmid].node  # noqa: E731 - one word for a type
        self.power = MachinePower(self.home, self.prefix, Figures(self.now), self.machines, where)
        trees = (ConfTree(machine.rootfs / PMXCFS.lstrip("/")) for machine in self.machines.values())
        self.cluster.power, self.cluster.records = self.power, Spread((ConfTree(self.home), *trees))
        self.inside = SimulatedInside(self.power)
        self.api.programs = Programs(self.inside, self.inside.spawn)
        for name, node in self.cluster.nodes.items():
            node.ip = self.machines[name].address

    @property
    def address(self) -> str:
        """Return the address of this host under which machines reach it."""
        return next(iter(self.machines.values())).host_address

    def describe(self) -> dict[str, str]:
        """Return what playbooks have to know, with files in the place of secrets."""
        secret = self.home / "admin-secret"
        secret.touch(mode=0o600)
        secret.write_text(self.tokens[ADMIN_TOKEN].secret)
        user, _, token_id = ADMIN_TOKEN.partition("!")
        return {"user": user, "token_id": token_id, "secret_file": str(secret), "ca_file": str(self.ca_file)}

    def lose(self, name: str) -> None:
        """Cut a machine's power and let the others see that it is gone. Raises MachineError."""
        for guest in self.cluster.list_guests(node=name):
            self.power.read(guest)  # what is told of them from now on
        self.machines[name].cut_power()
        self.cluster.set_online(name, online=False)

    def revive(self, name: str) -> None:
        """Switch a machine on again, and start its containers as on boot. Raises MachineError."""
        self.machines[name].boot()
        self.cluster.set_online(name, online=True)
        for guest in self.cluster.list_guests(node=name, kind="lxc"):
            if guest.real:
                self.power.start(guest)

    def _names(self, node: str) -> tuple[str, ...]:
        return (self.machines[node].address, self.address)

    def _make_guests(self) -> None:
        for name, machine in self.machines.items():
            self._furnish_machine(name, machine)
        super()._make_guests()

    def _furnish_machine(self, name: str, machine: SystemdMachine) -> None:
        """Lay out what a node has before its API serves."""
        place, pmxcfs = machine.rootfs / str(PLACE).lstrip("/"), machine.rootfs / PMXCFS.lstrip("/")
        for folder in (place / "lxc", place / "simulated", pmxcfs / "nodes" / name):
            folder.mkdir(parents=True)
        copy_image(Path(annotated_types.__file__).parent, place / "python/annotated_types")
        (place / "nodes").symlink_to(f"{PMXCFS}/nodes")
        (pmxcfs / "local").symlink_to(f"nodes/{name}")

    def _serve(self) -> None:
        super()._serve()
        key = json.loads((self.home / "door.json").read_text()) | {"ca_file": f"{PMXCFS}/pve-root-ca.pem"}
        for node in self.nodes:
            machine = self.machines[node.name]
            authority = machine.rootfs / PMXCFS.lstrip("/") / "pve-root-ca.pem"
            authority.write_bytes(self.authority.root_pem)
            door = machine.rootfs / str(PLACE / "door.json").lstrip("/")
            door.touch(mode=0o600)
            door.write_text(json.dumps(key))
            units = machine.rootfs / "etc/systemd/system"
            (units / f"{UNIT}.socket").write_text(SOCKET)
            port = node.url.rpartition(":")[2]
            (units / f"{UNIT}.service").write_text(SERVICE.format(address=self.address, port=port))
            machine.must("systemctl", "daemon-reload")
            machine.must("systemctl", "enable", "--now", f"{UNIT}.socket")

    def _write_programs(self, node: str) -> Path:
        folder = self.machines[node].rootfs / PROGRAM_FOLDER.lstrip("/")
        for program, (module, first) in PROGRAMS.items():
            words = [*BY_CODE, "-m", f"nanny_ops.lab.{module}", str(PLACE), node, self.prefix, *first]
            script = folder / program
            script.write_text(f'#!/bin/sh\nunset PWD\nexec {" ".join(words)} "$@"\n')
            script.chmod(0o755)
        return folder
