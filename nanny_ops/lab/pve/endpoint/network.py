"""The calls about the network of a node."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Route, Row
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.shape import guest as guest_shape
from nanny_ops.lab.pve.state.node import Node

GATEWAY, DOMAIN = "10.88.0.1", "example.org"


def _interfaces(node: Node) -> dict[str, Row]:
    manual = {"active": 1, "families": ["inet"], "method6": "manual"}
    bridge = {
        "type": "bridge",
        "autostart": 1,
        "method": "static",
        "address": node.ip,
        "netmask": "24",
        "cidr": f"{node.ip}/24",
        "gateway": GATEWAY,
        "bridge_ports": "eth0",
        "bridge_stp": "off",
        "bridge_fd": "0",
        "priority": 4,
    }
    return {"eth0": manual | {"type": "eth", "method": "manual", "priority": 3}, "vmbr0": manual | bridge}


def listing(api: Api, call: Call) -> Any:
    """Answer with the interfaces of a node, or those of one type."""
    found = _interfaces(api.cluster.nodes[call.node])
    wanted = call.text("type")
    return api.shuffled([row | {"iface": name} for name, row in found.items() if wanted in {"", row["type"]}])


def interface(api: Api, call: Call) -> Any:
    """Answer with one interface. Raises Refusal."""
    found = _interfaces(api.cluster.nodes[call.node])
    if (name := call.text("iface")) not in found:
        raise call.wrong(iface="interface does not exist")
    return found[name]


def traffic(api: Api, call: Call) -> Any:
    """Answer with the traffic of the running guests of a node, as texts."""
    rows = []
    cluster = api.cluster
    for guest in cluster.list_guests(node=call.node):
        reading = cluster.power.read(guest)
        if reading.running:
            row = guest_shape.guest_row(guest, reading, cluster.release, cluster.nodes[call.node])
            figures = {"in": str(row["netin"]), "out": str(row["netout"])}
            nets = sorted(key for key in guest.conf if key.removeprefix("net").isdigit())
            rows += [{"vmid": str(guest.vmid), "dev": key, **figures} for key in nets]
    return api.shuffled(rows)


def name_servers(_api: Api, _call: Call) -> Any:
    """Answer with the name servers of a node."""
    return {"dns1": GATEWAY, "search": DOMAIN}


ROUTES = (
    Route("GET", "/nodes/{node}/network", listing),
    Route("GET", "/nodes/{node}/network/{iface}", interface),
    Route("GET", "/nodes/{node}/netstat", traffic),
    Route("GET", "/nodes/{node}/dns", name_servers),
)
