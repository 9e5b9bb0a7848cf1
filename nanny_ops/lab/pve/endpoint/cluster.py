"""The calls about the cluster as a whole: who belongs to it, how it is configured, the next free id."""

import hashlib
from typing import Any

from nanny_ops.lab.pve.api import Api, Route, Row
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.endpoint.access import NOTHING
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.shape import node as shape
from nanny_ops.lab.pve.state.cluster import Cluster

FIRST_ID, LAST_ID = 100, 999_999_999


def status(api: Api, call: Call) -> Any:
    """Answer with the cluster and its nodes as the answering one sees them."""
    return api.shuffled(shape.cluster_status(api.cluster, call.answering))


def next_id(api: Api, call: Call) -> Any:
    """Answer with the first free id of a guest, as text, or whether one is free. Raises Refusal 400."""
    taken = api.cluster.guests
    if wanted := call.number("vmid"):
        if wanted in taken:
            raise call.wrong(vmid=f"VM {wanted} already exists")
        return str(wanted)
    return str(next(vmid for vmid in range(FIRST_ID, LAST_ID) if vmid not in taken))


def options(api: Api, _call: Call) -> Any:
    """Answer with the settings for all, and the tags that guests have."""
    tags = sorted({tag for guest in api.cluster.list_guests() for tag in guest.tags})
    return {"description": "", "mac_prefix": "BC:24:11"} | ({"allowed-tags": tags} if tags else {})


def api_version(_api: Api, _call: Call) -> Any:
    """Answer with the version of joining a cluster, as text."""
    return "1"


def members(api: Api, _call: Call) -> Any:
    """Answer with the nodes as corosync knows them; none outside a cluster."""
    if api.cluster.standalone:
        return []
    return api.shuffled([row | {"node": row["name"]} for row in _members(api.cluster)])


def _members(cluster: Cluster) -> list[Row]:
    return [
        {"name": node.name, "nodeid": str(node.nodeid), "quorum_votes": "1", "ring0_addr": node.ip}
        for node in cluster.nodes.values()
    ]


def totem(api: Api, _call: Call) -> Any:
    """Answer with corosync's settings, all of them texts; nothing outside a cluster."""
    return None if api.cluster.standalone else _totem(api.cluster)


def _totem(cluster: Cluster) -> Row:
    return {
        "cluster_name": cluster.name,
        "config_version": "2",
        "interface": {"0": {"linknumber": "0"}},
        "ip_version": "ipv4-6",
        "link_mode": "passive",
        "secauth": "on",
        "version": "2",
    }


def join(api: Api, call: Call) -> Any:
    """Answer with what a node needs to join. Raises Refusal outside a cluster."""
    cluster = api.cluster
    if cluster.standalone:
        raise Refusal(424, "node is not in a cluster, no join info available!")
    own = {node.name: {"pve_addr": node.ip, "pve_fp": node.fingerprint} for node in cluster.nodes.values()}
    return {
        "config_digest": hashlib.sha1(cluster.name.encode()).hexdigest(),
        "nodelist": [row | own[row["name"]] for row in _members(cluster)],
        "preferred_node": call.answering,
        "totem": _totem(cluster),
    }


def nothing(_api: Api, _call: Call) -> Any:
    """Answer that there is nothing of that kind."""
    return []


def firewall(_api: Api, _call: Call) -> Any:
    """Answer with the firewall's settings: none are made."""
    return {"digest": NOTHING}


def acme_plugins(_api: Api, _call: Call) -> Any:
    """Answer with the one plugin that is always there."""
    return [{"plugin": "standalone", "type": "standalone", "digest": NOTHING}]


def matchers(_api: Api, _call: Call) -> Any:
    """Answer with the built-in rule of notifications."""
    text = "Route all notifications to mail-to-root"
    found = {"name": "default-matcher", "mode": "all", "origin": "builtin", "comment": text}
    return [found | {"target": ["mail-to-root"]}]


def targets(_api: Api, _call: Call) -> Any:
    """Answer with the built-in target of notifications."""
    text = "Send mails to root@pam's email address"
    return [{"name": "mail-to-root", "type": "sendmail", "origin": "builtin", "comment": text}]


_EMPTY = ("firewall/rules", "mapping/pci", "mapping/usb", "metrics/server", "sdn/vnets", "sdn/zones")
ROUTES = (
    Route("GET", "/cluster/status", status),
    Route("GET", "/cluster/nextid", next_id),
    Route("GET", "/cluster/options", options),
    Route("GET", "/cluster/config/apiversion", api_version),
    Route("GET", "/cluster/config/nodes", members),
    Route("GET", "/cluster/config/totem", totem),
    Route("GET", "/cluster/config/join", join),
    Route("GET", "/cluster/firewall/options", firewall),
    Route("GET", "/cluster/acme/plugins", acme_plugins),
    Route("GET", "/cluster/notifications/matchers", matchers),
    Route("GET", "/cluster/notifications/targets", targets),
    *(Route("GET", f"/cluster/{path}", nothing) for path in _EMPTY),
)
