"""The calls about high availability. Recorded is only an installation that manages nothing."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Route, Row
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.availability import HaResource
from nanny_ops.lab.pve.state.cluster import Cluster


def groups(api: Api, _call: Call) -> Any:
    """Answer with the groups; 9.x has rules in their place. Raises Refusal there."""
    if api.cluster.release != "8.4":
        raise Refusal(500, "cannot index groups: ha groups have been migrated to rules")
    return [
        {
            "group": group.name,
            "type": "group",
            "nodes": group.nodes,
            "restricted": int(group.restricted),
            "nofailback": int(group.nofailback),
        }
        for group in api.cluster.ha_groups.values()
    ]


def resources(api: Api, _call: Call) -> Any:
    """Answer with the managed guests."""
    return [_resource(resource) for resource in api.cluster.ha.values()]


def _resource(resource: HaResource) -> Row:
    row: Row = {"sid": resource.sid, "type": resource.sid.partition(":")[0], "state": resource.wanted}
    row |= {"max_restart": resource.max_restart, "max_relocate": resource.max_relocate}
    return row | ({"group": resource.group} if resource.group else {})


def current(api: Api, call: Call) -> Any:
    """Answer with how the manager stands, seen from the node that answers."""
    cluster = api.cluster
    text = "OK" if cluster.quorate else f"No quorum on node '{call.answering}'!"
    rows: list[Row] = [
        {"id": "quorum", "type": "quorum", "node": call.answering, "status": text, "quorate": int(cluster.quorate)}
    ]
    if cluster.release != "8.4":
        told = {"status": "standby (CRM watchdog standby)", "armed-state": "standby"}
        rows.append({"id": "fencing", "type": "fencing", "node": call.answering} | told)
    return rows + (_managing(cluster, int(call.now)) if cluster.ha else [])


def _managing(cluster: Cluster, now: int) -> list[Row]:
    """Return the rows of the master, of each node's local manager and of each managed guest."""
    master = next(iter(cluster.nodes))
    told = {"status": f"{master} (active)", "timestamp": now}
    rows: list[Row] = [{"id": "master", "type": "master", "node": master} | told]
    for node in cluster.nodes.values():
        state = "active" if node.online else "old timestamp - dead?"
        told = {"status": f"{node.name} ({state})", "timestamp": now}
        rows.append({"id": f"lrm:{node.name}", "type": "lrm", "node": node.name} | told)
    return rows + [_service(cluster, resource) for resource in cluster.ha.values()]


def _service(cluster: Cluster, resource: HaResource) -> Row:
    guest = cluster.guests.get(resource.vmid)
    node = guest.node if guest else ""
    return {
        "id": f"service:{resource.sid}",
        "type": "service",
        "sid": resource.sid,
        "node": node,
        "state": resource.state,
        "request_state": resource.wanted,
        "crm_state": resource.state,
        "max_restart": resource.max_restart,
        "max_relocate": resource.max_relocate,
        "status": f"{resource.sid} ({node}, {resource.state})",
    }


def manager(api: Api, call: Call) -> Any:
    """Answer with the manager's own state."""
    told = "1" if api.cluster.quorate else "0"
    return {"manager_status": {"node_status": {}}, "quorum": {"node": call.answering, "quorate": told}}


_HA = "/cluster/ha"
ROUTES = (
    Route("GET", f"{_HA}/groups", groups),
    Route("GET", f"{_HA}/resources", resources),
    Route("GET", f"{_HA}/status/current", current),
    Route("GET", f"{_HA}/status/manager_status", manager),
)
