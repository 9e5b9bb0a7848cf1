"""A cluster of two nodes with an agent each, and a node of which nobody tells, for tests of orders of many."""

from datetime import datetime
from typing import Any

from nanny_ops.control.services import script as scripts
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import inventory, proxmox
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Database, Tx
from nanny_ops.control.store.proxmox import Cluster, Guest
from nanny_ops.protocol.clock import micros

TEAM = teams.DEFAULT
PERSON = Person("user-1", "op@example.com", "op", False, {TEAM: "operator"})
#: Number, name, node and what differs from a running Debian container.
GUESTS: tuple[tuple[int, str, str, dict[str, Any]], ...] = (
    (100, "web1", "pve1", {"tags": "web;prod"}),
    (101, "web2", "pve2", {"tags": "Web", "pool": "shop"}),
    (102, "db1", "pve1", {"tags": "db", "status": "stopped"}),
    (103, "old", "pve2", {"gone_at": 5}),
    (104, "base", "pve1", {"template": True}),
    (105, "far", "pve3", {}),
    (106, "vm1", "pve1", {"kind": "qemu", "ostype": "l26"}),
    (107, "dark", "pve2", {"unknown_since": 7}),
    (108, "alp", "pve2", {"ostype": "gentoo"}),
)


def build(database: Database, now: datetime) -> None:
    """Write it all."""
    at = micros(now)

    def write(tx: Tx) -> None:
        scripts.ship(tx, now)
        proxmox.put(tx, Cluster("c1", TEAM, "lab-1", "lab", 3, 1, 1, {}, "a1", at, at), known=False)
        for key, node in (("a1", "pve1"), ("a2", "pve2")):
            row = Agent(key, TEAM, node, "proxmox", "debian", "1", "", "6.8", "linux", [], "active", at)
            agents.add(tx, Agent(**{**vars(row), "cluster_pk": "c1"}))
            told = inventory.Reporter(key, TEAM, "c1", node, at, at, at + 10**9)
            inventory.put_reporter(tx, told, known=False)
        inventory.add_guests(tx, [guest(vmid, name, node, at, **more) for vmid, name, node, more in GUESTS])

    database.write_now(write)


def guest(vmid: int, name: str, node: str, at: int, **more: Any) -> Guest:
    """Return a guest's row."""
    values: dict[str, Any] = {
        "id": f"guest-{vmid}", "team_id": TEAM, "scope": "c1", "cluster_pk": "c1", "vmid": vmid, "kind": "lxc",
        "name": name, "node": node, "status": "running", "ostype": "debian", "tags": "", "body": {},
        "reported_by": "a1", "created_at": at, "updated_at": at,
    }  # fmt: skip
    return Guest(**{**values, **more})
