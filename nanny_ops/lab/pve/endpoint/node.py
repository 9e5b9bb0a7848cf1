"""The calls about nodes."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.shape import node as shape
from nanny_ops.lab.pve.shape import version as version_shape


def version(api: Api, _call: Call) -> Any:
    """Answer with the release."""
    return version_shape.version(api.cluster.release)


def listing(api: Api, call: Call) -> Any:
    """Answer with the nodes, without figures where the token may not see them."""
    may = {name: call.caller.may(f"/nodes/{name}", "Sys.Audit") for name in api.cluster.nodes}
    return api.shuffled([shape.node_row(n, api.clock(), full=may[n.name]) for n in api.cluster.nodes.values()])


def status(api: Api, call: Call) -> Any:
    """Answer with the figures of one node."""
    return shape.node_status(api.cluster.nodes[call.node], api.cluster.release, api.clock())


def certificates(api: Api, call: Call) -> Any:
    """Answer with a node's certificates and that of its authority."""
    return api.certificates.get(call.node, [])


ROUTES = (
    Route("GET", "/version", version),
    Route("GET", "/nodes", listing),
    Route("GET", "/nodes/{node}/version", version),
    Route("GET", "/nodes/{node}/status", status),
    Route("GET", "/nodes/{node}/certificates/info", certificates),
)
