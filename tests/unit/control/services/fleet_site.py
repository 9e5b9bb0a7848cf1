"""A cluster whose agents send whole readings to a store, one minute after the other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from nanny_ops.control.services import inventory as service
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import event as events
from nanny_ops.control.store import proxmox as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.proxmox import Guest, GuestFilter, Node
from nanny_ops.protocol.clock import micros, stamp
from nanny_ops.protocol.inventory import InventoryAnswer, InventoryReport

TEAM = {teams.DEFAULT}
REPORT: TypeAdapter[InventoryReport] = TypeAdapter(InventoryReport)


@dataclass
class Real:
    """A guest as it really is."""

    vmid: int
    node: str
    kind: str = "lxc"
    status: str = "running"
    extra: dict[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return what an agent tells of it."""
        key = f"{self.kind}_id"
        named = {"name": f"g{self.vmid}", key: f"{self.kind}/{self.vmid}", "vmid": self.vmid}
        return {**named, "node": self.node, "status": self.status, **self.extra}

    def usage(self, node_is_up: bool) -> dict[str, Any]:
        """Return one reading of it."""
        status = self.status if node_is_up else "unknown"
        told = {"vmid": self.vmid, "kind": self.kind, "node": self.node, "status": status}
        return {**told, "cpu": 0.25, "cpus": 2, "mem": 100 + self.vmid, "maxmem": 1000, "netin": 5}


class Site:
    """Nodes with an agent each; ``dead`` nodes are seen as offline by the others."""

    def __init__(self, database: Database, now: datetime, nodes: Sequence[str] = ("pve1", "pve2", "pve3")) -> None:
        """Enrol an agent on each node."""
        self.database, self.now = database, now
        self.nodes, self.dead = list(nodes), set[str]()
        self.guests: dict[int, Real] = {}
        self.quorate, self.name = 1, "lab"
        self.agents = {name: self.enrol(name) for name in nodes}

    def enrol(self, node: str) -> HostAgent:
        """Enrol the agent of a node."""
        agent_id = f"agent-{node}"
        row = agents.Agent(
            agent_id, teams.DEFAULT, node, "debian", "debian", "1", "192.0.2.1", "6.8", "linux", [], "active",
            micros(self.now),
        )  # fmt: skip
        self.database.write_now(lambda tx: agents.add(tx, row))
        return HostAgent(agent_id, teams.DEFAULT, node)

    def add(self, vmid: int, node: str, **fields: Any) -> Real:
        """Put a guest on a node."""
        self.guests[vmid] = Real(vmid, node, **fields)
        return self.guests[vmid]

    def report(self, node: str, *, cluster: bool | None = True, **fields: Any) -> dict[str, Any]:
        """Return what a node's agent tells; the cluster's part too if it tells that, None where there is no cluster."""
        seen = list(self.guests.values()) if cluster else [one for one in self.guests.values() if one.node == node]
        seen = sorted(seen, key=lambda one: hash((one.vmid, self.now)))  # in any order, as Proxmox VE lists them
        body: dict[str, Any] = {
            "at": stamp(self.now),
            "node": node,
            "nodes": [self._node(one, node) for one in self.nodes if cluster or one == node],
            "lxc": [one.body() for one in seen if one.kind == "lxc"],
            "qemu": [one.body() for one in seen if one.kind == "qemu"],
            "guests": [one.vmid for one in seen if one.node == node],
            "usage": [one.usage(one.node not in self.dead) for one in seen],
            "node_usage": [{"node": one, "status": self._status(one)} for one in self.nodes if cluster or one == node],
        }
        if cluster:
            body["members"] = list(self.nodes)
            body["cluster"] = {
                "cluster_name": self.name,
                "cluster_id": f"{self.name}-1",
                "nodes": len(self.nodes),
                "quorate": self.quorate,
                "version": 7,
                "guests": [one.vmid for one in seen],
            }
        return {**body, **fields}

    def says(self, node: str, body: dict[str, Any] | None = None, **how: Any) -> InventoryAnswer:
        """Have a node's agent report, a minute after the last report."""
        self.now += timedelta(minutes=1)
        whole = self.report(node, **how) if body is None else body
        parsed = REPORT.validate_python(whole)
        return self.database.write_now(lambda tx: service.take(tx, self.agents[node], parsed, whole, self.now))

    def all_say(self) -> list[InventoryAnswer]:
        """Have the agent of each living node report once."""
        return [self.says(node) for node in self.nodes if node not in self.dead]

    def stored(self, gone: bool | None = False) -> dict[int, Guest]:
        """Return the guests that are known."""
        wanted = GuestFilter(gone=gone)
        return {
            row.vmid: row for row in self.database.read_now(lambda tx: store.guest_page(tx, TEAM, 500, 0, wanted))[0]
        }

    def stored_nodes(self) -> dict[str, Node]:
        """Return the nodes that are known."""
        return {row.name: row for row in self.database.read_now(lambda tx: store.node_page(tx, TEAM, 500, 0))[0]}

    def events(self) -> list[tuple[str, str]]:
        """Return kind and object of all that was told, and forget it."""
        found = self.database.read_now(lambda tx: events.after(tx, self._told, 1000))
        self._told = found[-1].seq if found else self._told
        return [(one.kind, one.payload["record"]["object"]) for one in found]

    _told = 0

    def _node(self, name: str, local: str) -> dict[str, Any]:
        number = self.nodes.index(name) + 1
        return {
            "name": name,
            "node_id": number,
            "ip": f"192.0.2.{number}",
            "online": int(name not in self.dead),
            "local": int(name == local),
            "pve_version": "8.4.21" if name == local else "",
        }

    def _status(self, name: str) -> str:
        return "offline" if name in self.dead else "online"
