"""What a lab's cluster holds, drawn from a seed: the same plan gives the same nodes and guests."""

import random
from dataclasses import dataclass

from nanny_ops.errors import SettingsError
from nanny_ops.lab.pve.shape.version import VERSIONS
from nanny_ops.lab.pve.state.draft import draft
from nanny_ops.lab.pve.state.guest import Guest
from nanny_ops.lab.pve.state.node import GIB, Node

#: The most guests for which each kind has a hundred-wide range of ids of its own.
FIRST_CONTAINER, FIRST_MACHINE, FIRST_MACHINE_OF_MANY = 101, 201, 100_001
ROLES = ("web", "db", "mail", "cache", "queue", "wiki", "proxy", "build", "log", "auth", "files", "shop")
TAGS = ("prod", "staging", "test")
MOST_NODES = 128


@dataclass(frozen=True)
class LabPlan:
    """How large a lab is; ``real`` of the ``guests`` are real containers, the others simulated or figures only."""

    nodes: int = 3
    guests: int = 12
    real: int = 2
    version: str = "8.4"
    seed: int = 1

    def check(self) -> None:
        """Raise SettingsError for a plan that cannot be."""
        if not 1 <= self.nodes <= MOST_NODES:
            raise SettingsError(f"A lab has 1 to {MOST_NODES} nodes, not {self.nodes}.")
        if self.guests < 0 or not 0 <= self.real <= containers_of(self.guests):
            raise SettingsError(
                f"Of {self.guests} guests {containers_of(self.guests)} are containers, not {self.real}."
            )
        if self.version not in VERSIONS:
            raise SettingsError(f"Proxmox VE {self.version} is unknown here; say {' or '.join(VERSIONS)}.")


def containers_of(guests: int) -> int:
    """Return how many of the guests are containers: two thirds, rounded up; the rest are virtual machines."""
    return (guests * 2 + 2) // 3


def draw_nodes(plan: LabPlan, now: float) -> list[Node]:
    """Return the nodes, up for some days at ``now`` (seconds of the epoch)."""
    dice = random.Random(plan.seed)
    return [
        Node(
            name=f"pve{number}",
            nodeid=number,
            ip=f"10.88.0.{10 + number}",
            cpus=dice.choice((8, 16, 32)),
            memory=dice.choice((32, 64, 128)) * GIB,
            load=round(dice.uniform(0.1, 3.0), 2),
            booted=now - dice.randrange(86_400, 40 * 86_400),
        )
        for number in range(1, plan.nodes + 1)
    ]


def draw_guests(plan: LabPlan) -> list[Guest]:
    """Return the guests, spread over the nodes; the first ``real`` containers are real."""
    dice = random.Random(plan.seed + 1)
    containers = containers_of(plan.guests)
    first_machine = FIRST_MACHINE if containers <= 100 else FIRST_MACHINE_OF_MANY
    guests = [_guest(dice, plan, index, FIRST_CONTAINER + index, machine=False) for index in range(containers)]
    return guests + [
        _guest(dice, plan, index, first_machine + index, machine=True) for index in range(plan.guests - containers)
    ]


def stopped_at_first(guest: Guest) -> bool:
    """Return whether a guest does not run when the lab opens: every fifth that is not real, and templates."""
    return guest.template or (not guest.real and guest.vmid % 5 == 0)


def _guest(dice: random.Random, plan: LabPlan, index: int, vmid: int, *, machine: bool) -> Guest:
    role = ROLES[index % len(ROLES)]
    last = dice.randrange(0x1000000)
    guest = draft(
        vmid,
        "qemu" if machine else "lxc",
        f"pve{index % plan.nodes + 1}",
        f"{role}{'-vm' if machine else ''}{index // len(ROLES) + 1}",
        cores=dice.choice((1, 2, 4)),
        memory=dice.choice((512, 1024, 2048)),
        disk=dice.choice((4, 8, 16)),
        tags=(role, dice.choice(TAGS)),
        address="" if machine else f"10.88.{1 + index // 200}.{index % 200 + 20}",
        mac=f"BC:24:11:{last >> 16:02X}:{last >> 8 & 255:02X}:{last & 255:02X}",
        real=not machine and index < plan.real,
    )
    if dice.random() < 0.5:
        guest.conf["onboot"] = 1
    if not machine and plan.guests >= 12 and index == containers_of(plan.guests) - 1:
        guest.conf["template"] = 1
    return guest
