"""A yard: machines of several images on one network with this host, and a control plane that all of them reach."""

import contextlib
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from nanny_ops.errors import SettingsError
from nanny_ops.lab import systemd_machine, yard_plan
from nanny_ops.lab.image import must
from nanny_ops.lab.machine_lab import MachineLab
from nanny_ops.lab.machine_network import MachineNetwork, free_network
from nanny_ops.lab.machine_note import MachineNote
from nanny_ops.lab.systemd_machine import FOLDER, SystemdMachine
from nanny_ops.lab.yard_plan import MachinePlan, YardPlan
from nanny_ops.lab.yard_plane import YardPlane, yard_plane

#: The directory of the package, which machines may read.
CODE = Path(__file__).parents[1]
#: Machines that boot at once; more only make each other late on two cores.
BOOTING = 2
#: Networks that are tried; one of 4096 is taken where no other yard stands.
TRIES = 16
KEY_DEADLINE = 30.0
HOST_KEY = "etc/ssh/ssh_host_ed25519_key.pub"


@dataclass
class Yard:
    """Everything of a plan, its files below ``home``; a context manager that leaves nothing behind.

    ``cache`` holds the images.
    """

    plan: YardPlan
    home: Path
    cache: Path
    machines: dict[str, SystemdMachine] = field(default_factory=dict)
    plane: YardPlane | None = None
    proxmox: MachineLab | None = None
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> Self:
        """Make the network, boot the machines, start the control plane. Raises SettingsError, MachineError."""
        with contextlib.ExitStack() as opening:
            address = self._settle(opening) if self.plan.machines else self.plan.address
            if self.plan.control_plane:
                self.plane = opening.enter_context(yard_plane(self.home / "plane", address))
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_failure: object) -> None:
        """Remove all of it."""
        self._open.close()

    @property
    def key_file(self) -> Path:
        """Return the private key with which root may come in."""
        return self.home / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Return the file with the machines' own keys."""
        return self.home / "known_hosts"

    def describe(self) -> dict[str, Any]:
        """Return what playbooks have to know: files, addresses, and no secret."""
        found: dict[str, Any] = {
            "home": str(self.home),
            "key_file": str(self.key_file),
            "known_hosts": str(self.known_hosts),
            "machines": {name: _describe(machine) for name, machine in self.machines.items()},
        }
        if self.plane is not None:
            told = {"url": self.plane.url, "ca_file": self.plane.ca_file, "token_file": self.plane.token_file}
            found["control_plane"] = {name: str(value) for name, value in told.items()}
            found["control_plane"]["password_file"] = str(self.plane.password_file)
        if self.proxmox is not None:
            found["proxmox"] = self.proxmox.describe()
        return found

    def switch(self, name: str, *, on: bool) -> None:
        """Cut a machine's power, or boot it again. Raises MachineError."""
        if self.proxmox is not None and name in self.proxmox.machines:
            self.proxmox.revive(name) if on else self.proxmox.lose(name)
        elif on:
            self.machines[name].boot()
        else:
            self.machines[name].cut_power()

    def _settle(self, opening: contextlib.ExitStack) -> str:
        """Boot the machines on a network, and return this host's address there."""
        if missing := systemd_machine.missing():
            raise SettingsError("No machine can boot here. " + " ".join(missing))
        network = self._connect(opening)
        self._make_key()
        self._boot(opening, network)
        if self.plan.nodes:
            nodes = {name: self.machines[name] for name in self.plan.nodes}
            self.proxmox = opening.enter_context(MachineLab(self.plan.cluster, self.home, self.cache, machines=nodes))
        return network.host_address

    def _connect(self, opening: contextlib.ExitStack) -> MachineNetwork:
        """Make the network; it is noted as a machine is, and so removed after a crash like one."""
        name = f"nm-{secrets.token_hex(3)}"
        home = self.home / FOLDER / name
        note = MachineNote(home)
        home.mkdir(parents=True)
        opening.callback(note.drop)
        opening.callback(systemd_machine.remove, home)
        network = free_network(name, (secrets.token_hex(3) for _ in range(TRIES)))
        network.connect()
        return network

    def _make_key(self) -> None:
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "yard", "-f", str(self.key_file)]
        must(make, KEY_DEADLINE)

    def _boot(self, opening: contextlib.ExitStack, network: MachineNetwork) -> None:
        places = {machine.name: place for place, machine in enumerate(self.plan.machines, start=2)}
        known = {name: str(network.interface(place).ip) for name, place in places.items()}
        for planned in self.plan.machines:
            machine = self._machine(planned, network, places[planned.name], known)
            opening.callback(machine.destroy)
            machine.create()
            self._admit(machine)
            self.machines[planned.name] = machine
        with ThreadPoolExecutor(BOOTING) as booting:
            for done in [booting.submit(machine.boot) for machine in self.machines.values()]:
                done.result()

    def _machine(
        self, planned: MachinePlan, network: MachineNetwork, place: int, known: Mapping[str, str]
    ) -> SystemdMachine:
        return SystemdMachine(
            yard_plan.lay(planned, self.cache),
            self.home,
            hostname=planned.name,
            binds=yard_plan.binds(planned, self.cache, CODE),
            network=network,
            place=place,
            neighbours={name: address for name, address in known.items() if name != planned.name},
        )

    def _admit(self, machine: SystemdMachine) -> None:
        """Let this host in as root, and know the machine's key."""
        folder = machine.rootfs / "root/.ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "authorized_keys").write_text(self.key_file.with_suffix(".pub").read_text())
        words = (machine.rootfs / HOST_KEY).read_text().split()[:2]
        with self.known_hosts.open("a") as known:
            known.write(f"{machine.address} {' '.join(words)}\n")


def _describe(machine: SystemdMachine) -> dict[str, str]:
    return {"address": machine.address, "host_address": machine.host_address, "rootfs": str(machine.rootfs)}
