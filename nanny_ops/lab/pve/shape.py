"""The JSON shapes of answers: which keys stand where, 0 and 1 for booleans, no key for what is false."""

from typing import Any

from nanny_ops.lab.pve.state import GIB, MIB, Cluster, Guest, Node, Reading

VERSIONS = {"8.4": ("8.4.21", "2606ac850d46da29"), "9.2": ("9.2.11", "14a22df35955d97d")}
PRESSURES = tuple(f"pressure{what}{how}" for what in ("cpu", "io", "memory") for how in ("some", "full"))
CONTENT = "rootdir,vztmpl,backup,snippets,iso,images"

Row = dict[str, Any]


def version(release: str) -> Row:
    """Return what /version answers."""
    number, repoid = VERSIONS[release]
    return {"release": release, "repoid": repoid, "version": number}


def cluster_status(cluster: Cluster, answering: str) -> list[Row]:
    """Return /cluster/status as the node that answers sees it; a standalone node has no cluster row."""
    rows: list[Row] = []
    if not cluster.standalone:
        found = {"id": "cluster", "type": "cluster", "name": cluster.name, "version": 2}
        rows.append(found | {"quorate": int(cluster.quorate), "nodes": len(cluster.nodes)})
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
    return row | (_node_figures(node, now) if full and node.online else {})


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
    cpu = {"cpus": node.cpus, "cores": node.cpus, "sockets": 1, "model": "AMD EPYC", "mhz": "2596.130", "hvm": "1"}
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
        "boot-info": {"mode": "efi", "secureboot": 0},
        "cpuinfo": cpu | {"user_hz": 100, "flags": "fpu vme de pse tsc msr pae mce cx8"},
        "kversion": f"Linux {kernel} #1 SMP PREEMPT_DYNAMIC PMX",
        "current-kernel": {
            "sysname": "Linux",
            "release": kernel,
            "version": "#1 SMP PREEMPT_DYNAMIC PMX",
            "machine": "x86_64",
        },
        "pveversion": f"pve-manager/{number}/{repoid}",
    }


def guest_row(guest: Guest, reading: Reading, release: str) -> Row:
    """Return a guest's line in /nodes/NODE/lxc or /qemu."""
    row = _guest_figures(guest, reading) | {"vmid": guest.vmid, "name": guest.name, "cpus": guest.cores}
    row |= {"pid": reading.pid} if reading.running else {}
    row |= {"tags": ";".join(sorted(guest.tags))} if guest.tags else {}
    row |= {"lock": guest.lock} if guest.lock else {}
    row |= {"template": 1} if guest.template else {}
    if guest.kind == "lxc":
        row |= {"type": "lxc", "swap": 0, "maxswap": guest.swap * MIB}
        figure = None
    else:
        del row["diskread"], row["diskwrite"]
        figure = 0
        row |= {"memhost": reading.memory} if release != "8.4" else {}
    if release != "8.4" and reading.running:
        row |= dict.fromkeys(PRESSURES, figure)
    return row


def guest_current(guest: Guest, reading: Reading, release: str) -> Row:
    """Return /nodes/NODE/KIND/VMID/status/current."""
    row = guest_row(guest, reading, release) | {"ha": {"managed": 0}}
    if guest.kind == "qemu":
        row |= {"qmpstatus": row["status"]} | ({"agent": 1} if guest.agent else {})
        if reading.running:
            row |= {"nics": {f"tap{guest.vmid}i0": {"netin": row["netin"], "netout": row["netout"]}}, "clipboard": None}
    return row


def guest_resource(guest: Guest, reading: Reading, release: str) -> Row:
    """Return a guest's line in /cluster/resources; there ``template`` is always told."""
    row = _guest_figures(guest, reading) | {"vmid": guest.vmid, "name": guest.name, "type": guest.kind}
    row |= {"id": f"{guest.kind}/{guest.vmid}", "node": guest.node, "maxcpu": guest.cores}
    row["template"] = int(guest.template)
    row |= {"tags": ";".join(sorted(guest.tags))} if guest.tags else {}
    row |= {"lock": guest.lock} if guest.lock else {}
    return row | ({"memhost": 0} if release != "8.4" else {})


def storage_resource(node: Node) -> Row:
    """Return the line of a node's directory storage in /cluster/resources."""
    row: Row = {"id": f"storage/{node.name}/local", "type": "storage", "storage": "local", "node": node.name}
    state = "available" if node.online else "unknown"
    row |= {"status": state, "shared": 0, "plugintype": "dir", "content": CONTENT}
    return row | ({"disk": node.disk_used, "maxdisk": node.disk} if node.online else {})


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
        "maxcpu": node.cpus,
        "mem": node.memory_used,
        "maxmem": node.memory,
        "disk": node.disk_used,
        "maxdisk": node.disk,
        "uptime": max(0, int(now - node.booted)),
    }


def _guest_figures(guest: Guest, reading: Reading) -> Row:
    traffic = reading.uptime * 37
    return {
        "status": "running" if reading.running else "stopped",
        "cpu": 0.002 if reading.running else 0,
        "mem": reading.memory,
        "maxmem": guest.memory * MIB,
        "disk": guest.disk * GIB // 4 if reading.running and guest.kind == "lxc" else 0,
        "maxdisk": guest.disk * GIB,
        "diskread": 0,
        "diskwrite": 0,
        "netin": traffic,
        "netout": traffic // 3,
        "uptime": reading.uptime,
    }
