"""The calls about the cluster as a whole."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.shape import node as shape


def cluster_status(api: Api, call: Call) -> Any:
    """Answer with the cluster and its nodes as the answering one sees them."""
    return api.shuffled(shape.cluster_status(api.cluster, call.answering))


ROUTES = (Route("GET", "/cluster/status", cluster_status),)
