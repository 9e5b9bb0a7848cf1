"""The calls about usage over time: of guests, nodes and storages."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.endpoint.guest import found
from nanny_ops.lab.pve.shape import rrd
from nanny_ops.lab.pve.shape.storage import usage


def guest_usage(api: Api, call: Call) -> Any:
    """Answer with a guest's usage in a time frame."""
    guest, reading = found(api, call)
    times = rrd.instants(api.cluster.release, call.text("timeframe"), call.now)
    return rrd.of_guest(guest, reading, api.cluster.nodes[guest.node], times, call.now)


def node_usage(api: Api, call: Call) -> Any:
    """Answer with a node's usage in a time frame."""
    times = rrd.instants(api.cluster.release, call.text("timeframe"), call.now)
    return rrd.of_node(api.cluster.nodes[call.node], api.cluster.release, times)


def storage_usage(api: Api, call: Call) -> Any:
    """Answer with the usage of a node's storage in a time frame. Raises Refusal."""
    node, storage = api.cluster.nodes[call.node], api.cluster.storages.get(call.text("storage"))
    if storage is None:
        raise call.wrong(storage="No such storage.")
    times = rrd.instants(api.cluster.release, call.text("timeframe"), call.now)
    return rrd.of_storage(*usage(storage, node), times, node.booted)


ROUTES = (
    Route("GET", "/nodes/{node}/rrddata", node_usage),
    Route("GET", "/nodes/{node}/storage/{storage}/rrddata", storage_usage),
    *(Route("GET", f"/nodes/{{node}}/{kind}/{{vmid}}/rrddata", guest_usage) for kind in ("lxc", "qemu")),
)
