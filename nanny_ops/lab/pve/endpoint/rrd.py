"""The calls about a guest's usage over time."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.endpoint.guest import found
from nanny_ops.lab.pve.shape import rrd


def guest_usage(api: Api, call: Call) -> Any:
    """Answer with a guest's usage in a time frame."""
    guest, reading = found(api, call)
    times = rrd.instants(api.cluster.release, call.text("timeframe"), call.now)
    return rrd.of_guest(guest, reading, api.cluster.nodes[guest.node], times, call.now)


ROUTES = tuple(Route("GET", f"/nodes/{{node}}/{kind}/{{vmid}}/rrddata", guest_usage) for kind in ("lxc", "qemu"))
