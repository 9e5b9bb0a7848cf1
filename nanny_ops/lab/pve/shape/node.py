"""Nodes as the API shows them."""

from typing import Any

from nanny_ops.lab.pve.shape.version import VERSIONS
from nanny_ops.lab.pve.state.cluster import Cluster
from nanny_ops.lab.pve.state.node import Node

Row = dict[str, Any]


def cluster_status(cluster: Cluster, answering: str) -> list[Row]:
    """Return /cluster/status as the node that answers sees it; a standalone node has no cluster row."""
    rows: list[Row] = []
    if not cluster.standalone:
        found = {"id": "cluster", "type": "cluster", "name": cluster.name, "version": 2}
        told = cluster.quorate if cluster.told_quorate is None else cluster.told_quorate
        rows.append(found | {"quorate": int(told), "nodes": len(cluster.nodes)})
    for node in cluster.nodes.values():
        found = {"id": f"node/{node.name}", "type": "node", "name": node.name, "ip": node.ip, "level": ""}
        nodeid = 0 if cluster.standalone else node.nodeid
        rows.append(found | {"nodeid": nodeid, "online": int(node.online), "local": int(node.name == answering)})
    return rows


def node_row(node: Node, now: float, *, full: bool) -> Row:
    """Return a node's line in /nodes; without ``full`` there are no figures, as for whoever may not see them."""
    state = "online" if node.online else "offline"
    row: Row = {"id": f"node/{node.name}", "type": "node", "node": node.name, "level": "", "status": state}
    row["ssl_fingerprint"] = node.fingerprint
    if not full:
        return row
    largest = {"maxcpu": node.cpus, "maxmem": node.memory, "maxdisk": node.disk}
    return row | largest | (_node_figures(node, now) if node.online else {})


def node_resource(node: Node, now: float, *, full: bool) -> Row:
    """Return a node's line in /cluster/resources."""
    row = node_row(node, now, full=full) | {"cgroup-mode": 2}
    del row["ssl_fingerprint"]
    return row


def node_status(node: Node, release: str, now: float) -> Row:
    """Return /nodes/NODE/status."""
    number, repoid = VERSIONS[release]
    memory = {"total": node.memory, "used": node.memory_used, "free": node.memory - node.memory_used}
    disk = {"total": node.disk, "used": node.disk_used, "free": node.disk - node.disk_used}
    kernel = "6.8.12-15-pve" if release == "8.4" else "6.17.2-1-pve"
    kind = {} if release == "8.4" else {"vendor": "AuthenticAMD", "family": "25"}
    cpu = {"cpus": node.cpus, "cores": node.cpus, "sockets": 1, "model": "AMD EPYC", "mhz": "2596.130", "hvm": ""}
    return {
        "uptime": max(0, int(now - node.booted)),
        "cpu": node.load / node.cpus,
        "idle": 0,
        "wait": 0.001,
        "loadavg": [f"{node.load:.2f}", f"{node.load:.2f}", f"{node.load:.2f}"],
        "memory": memory | ({"available": memory["free"]} if release != "8.4" else {}),
        "swap": {"total": 0, "used": 0, "free": 0},
        "rootfs": disk | {"avail": disk["free"]},
        "ksm": {"shared": 0},
        "boot-info": {"mode": "legacy-bios"},
        "cpuinfo": cpu | kind | {"user_hz": 100, "flags": "fpu vme de pse tsc msr pae mce cx8"},
        "kversion": f"Linux {kernel} #1 SMP PREEMPT_DYNAMIC PMX",
        "current-kernel": {
            "sysname": "Linux",
            "release": kernel,
            "version": "#1 SMP PREEMPT_DYNAMIC PMX",
            "machine": "x86_64",
        },
        "pveversion": f"pve-manager/{number}/{repoid}",
    }


def network_resource(node: Node, release: str) -> Row:
    """Return the line of a node's default network; 9.x calls it a network, 8.x an sdn."""
    row: Row = {"node": node.name, "status": "ok"}
    if release == "8.4":
        return row | {"type": "sdn", "id": f"sdn/{node.name}/localnetwork", "sdn": "localnetwork"}
    row |= {"type": "network", "network": "localnetwork", "network-type": "zone"}
    return row | {"id": f"network/{node.name}/zone/localnetwork"}


def _node_figures(node: Node, now: float) -> Row:
    return {
        "cpu": node.load / node.cpus,
        "mem": node.memory_used,
        "disk": node.disk_used,
        "uptime": max(0, int(now - node.booted)),
    }
