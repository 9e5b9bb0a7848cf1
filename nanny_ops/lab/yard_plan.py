"""Which machines a yard has: names, images and what is laid into them, as a scenario of Molecule writes it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from nanny_ops.errors import SettingsError
from nanny_ops.lab.demo_guest import prepared_image
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.rpm_machine import RELEASES, rpm_machine

#: Where a machine sees the lab's own code and the image of a container, where it asks for them.
CODE, GUEST_IMAGE = "/srv/code", "/srv/guest"
#: A network has 29 addresses for machines; two cores boot eight at once in a bearable time.
MOST_MACHINES = 8


def _debian(suite: str) -> Callable[[Path, str], Path]:
    return lambda cache, mirror: machine_image(cache, suite, mirror=mirror)


def _rpm(release: str) -> Callable[[Path, str], Path]:
    return lambda cache, mirror: rpm_machine(cache, release, mirror=mirror)


#: Name of an image -> its maker, of the cache and a mirror.
IMAGES: dict[str, Callable[[Path, str], Path]] = {
    "bookworm": _debian("bookworm"),
    "trixie": _debian("trixie"),
    **{release: _rpm(release) for release in RELEASES},
}


class MachinePlan(msgspec.Struct, frozen=True):
    """One machine.

    ``updates`` gives a Debian the lab's packages in a first version and a repository that offers a second; systems of
    rpm always have them. ``lab`` lets the machine read the lab's code and an image for containers. ``binds`` are
    further paths of this host -> paths there, only to read.
    """

    name: str
    image: str = "trixie"
    updates: bool = False
    lab: bool = False
    binds: dict[str, str] = {}


class YardPlan(msgspec.Struct, frozen=True):
    """A yard: its machines, and whether a control plane serves on this host.

    Without machines it serves at ``address``, one of this host that machines from elsewhere reach. With ``proxmox``, a
    release, the machines with ``lab`` are nodes of a cluster of it; their names are pve1, pve2 ...
    """

    machines: list[MachinePlan]
    control_plane: bool = True
    address: str = ""
    proxmox: str = ""

    @property
    def nodes(self) -> list[str]:
        """Return the names of the cluster's nodes."""
        return [machine.name for machine in self.machines if machine.lab] if self.proxmox else []

    @property
    def cluster(self) -> LabPlan:
        """Return the plan of the cluster: a real container on each node, and half as many machines of figures."""
        number = len(self.nodes)
        return LabPlan(nodes=number, guests=number * 3 // 2, real=number, version=self.proxmox)


def read(text: bytes) -> YardPlan:
    """Return the plan in a JSON text, where machines may have what only Molecule knows. Raises SettingsError."""
    try:
        plan = msgspec.json.decode(text, type=YardPlan)
    except msgspec.DecodeError as wrong:
        raise SettingsError(f"This is no plan of machines: {wrong}") from wrong
    _check(plan)
    return plan


def lay(plan: MachinePlan, cache: Path, mirror: str = "") -> Path:
    """Return the directory of a machine's image, made on first use. Raises SettingsError, MachineError."""
    base = IMAGES[plan.image](cache, mirror)
    return prepared_image(cache, mirror, base) if plan.updates else base


def binds(plan: MachinePlan, cache: Path, code: Path, mirror: str = "") -> dict[Path, str]:
    """Return this host's paths -> those of the machine; ``code`` is the package's directory."""
    found = {Path(source): target for source, target in plan.binds.items()}
    if plan.lab:
        found |= {code: f"{CODE}/{code.name}", prepared_image(cache, mirror): GUEST_IMAGE}
    return found


def _check(plan: YardPlan) -> None:
    names = [machine.name for machine in plan.machines]
    if not (names or plan.address) or len(names) > MOST_MACHINES:
        raise SettingsError(f"A yard has 1 to {MOST_MACHINES} machines, not {len(names)}.")
    if len(set(names)) < len(names):
        raise SettingsError("Two machines have the same name.")
    if plan.proxmox:
        plan.cluster.check()
        if plan.nodes != [f"pve{number}" for number in range(1, len(plan.nodes) + 1)]:
            raise SettingsError(f"Nodes are named pve1, pve2 and so on, in that order, not {', '.join(plan.nodes)}.")
    for machine in plan.machines:
        if machine.image not in IMAGES:
            raise SettingsError(f"There is no image '{machine.image}'; there is: {', '.join(sorted(IMAGES))}.")
        if machine.updates and machine.image in RELEASES:
            raise SettingsError(f"The image '{machine.image}' has updates anyway; 'updates' is for Debian.")


def to_json(found: dict[str, Any]) -> bytes:
    """Return what a yard tells of itself, as text."""
    return msgspec.json.format(msgspec.json.encode(found), indent=2)
