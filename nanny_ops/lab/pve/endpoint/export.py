"""The call that tells every figure of the cluster as one list, for whoever keeps them."""

from collections.abc import Iterator
from typing import Any

from nanny_ops.lab.pve.api import Api, Route, Row
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.shape import guest as guest_shape
from nanny_ops.lab.pve.shape import storage as storage_shape
from nanny_ops.lab.pve.state.guest import Guest
from nanny_ops.lab.pve.state.node import Node

#: Metrics that only grow, so that their difference means something.
GROWING = frozenset({"net_in", "net_out", "disk_read", "disk_write"})
Figures = dict[str, int | float]


def figures(api: Api, call: Call) -> Any:
    """Answer with the figures of nodes, guests and storages; storages of all nodes, whether for them or not."""
    cluster = api.cluster
    rows = [
        row for node in cluster.nodes.values() for row in _rows(f"node/{node.name}", _node(node, call.now), call.now)
    ]
    for guest in cluster.list_guests():
        rows += _rows(f"{guest.kind}/{guest.vmid}", _guest(api, guest), call.now)
    for node in cluster.nodes.values():
        for storage in cluster.storages.values():
            total, used = storage_shape.usage(storage, node)
            rows += _rows(f"storage/{node.name}/{storage.name}", {"disk_total": total, "disk_used": used}, call.now)
    return {"data": rows}


def _rows(what: str, found: Figures, now: float) -> Iterator[Row]:
    for metric, value in found.items():
        kind = "derive" if metric in GROWING else "gauge"
        yield {"id": what, "metric": metric, "type": kind, "value": value, "timestamp": int(now)}


def _node(node: Node, now: float) -> Figures:
    up = max(0, int(now - node.booted))
    load = float(node.load)
    return {
        "uptime": up,
        "cpu_avg1": load,
        "cpu_avg5": load,
        "cpu_avg15": load,
        "cpu_current": load / node.cpus,
        "cpu_iowait": 0.001,
        "cpu_max": node.cpus,
        "mem_total": node.memory,
        "mem_used": node.memory_used,
        "swap_total": 0,
        "swap_used": 0,
        "disk_total": node.disk,
        "disk_used": node.disk_used,
        "net_in": up * 900,
        "net_out": up * 700,
    }


def _guest(api: Api, guest: Guest) -> Figures:
    cluster = api.cluster
    reading = cluster.power.read(guest)
    row = guest_shape.guest_resource(guest, reading, cluster.release, cluster.nodes[guest.node])
    found: Figures = {"cpu_max": row["maxcpu"], "disk_total": row["maxdisk"], "mem_total": row["maxmem"]}
    found["uptime"] = row["uptime"]
    if not reading.running:
        return found
    found |= {"cpu_current": row["cpu"], "mem_used": row["mem"], "net_in": row["netin"], "net_out": row["netout"]}
    found |= {"disk_read": row["diskread"], "disk_write": row["diskwrite"]}
    return found | ({"disk_used": row["disk"]} if guest.kind == "lxc" else {})


ROUTES = (Route("GET", "/cluster/metrics/export", figures),)
