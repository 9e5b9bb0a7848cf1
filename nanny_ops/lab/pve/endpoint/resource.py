"""The one call that lists everything: guests, nodes, storages and networks, as far as the caller may see them."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.shape import guest as guest_shape
from nanny_ops.lab.pve.shape import node as shape
from nanny_ops.lab.pve.shape import storage as storage_shape
from nanny_ops.lab.pve.state.access import Caller


def resources(api: Api, call: Call) -> Any:
    """Answer with what the token may see of guests, nodes, storages and networks."""
    kind = call.text("type")
    rows: list[dict[str, Any]] = []
    if kind in {"", "vm"}:
        rows += _guest_resources(api, call.caller)
    for node in api.cluster.nodes.values():
        if kind in {"", "node"}:
            full = call.caller.may(f"/nodes/{node.name}", "Sys.Audit")
            rows.append(shape.node_resource(node, api.clock(), full=full))
        if kind in {"", "storage"} and call.caller.may("/storage/local", "Datastore.Audit"):
            rows.append(storage_shape.storage_resource(node))
        if kind in {"", "sdn"} and call.caller.may("/sdn/zones/localnetwork", "SDN.Audit"):
            rows.append(shape.network_resource(node, api.cluster.release))
    return api.shuffled(rows)


def _guest_resources(api: Api, caller: Caller) -> list[dict[str, Any]]:
    visible = [guest for guest in api.cluster.list_guests() if caller.may(f"/vms/{guest.vmid}", "VM.Audit")]
    cluster = api.cluster
    return [
        guest_shape.guest_resource(guest, cluster.power.read(guest), cluster.release, cluster.nodes[guest.node])
        for guest in visible
    ]


ROUTES = (Route("GET", "/cluster/resources", resources),)
