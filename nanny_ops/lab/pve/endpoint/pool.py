"""The calls about pools: guests and storages under one name."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Route, Row
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.shape import guest as guest_shape
from nanny_ops.lab.pve.shape import storage as storage_shape
from nanny_ops.lab.pve.state.pool import Pool


def listing(api: Api, call: Call) -> Any:
    """Answer with the pools that the caller may see; one that is named comes with its members. Raises Refusal."""
    if poolid := call.text("poolid"):
        call.caller.need(f"/pool/{poolid}", "Pool.Audit")
        return [_named(_find(api, poolid)) | {"members": members(api, _find(api, poolid), call.text("type"))}]
    pools = api.cluster.pools.values()
    return api.shuffled([_named(pool) for pool in pools if call.caller.may(f"/pool/{pool.poolid}", "Pool.Audit")])


def pool(api: Api, call: Call) -> Any:
    """Answer with one pool and its members. Raises Refusal."""
    found = _find(api, call.text("poolid"))
    return _named(found) | {"members": members(api, found, call.text("type"))}


def _find(api: Api, poolid: str) -> Pool:
    if poolid not in api.cluster.pools:
        raise Refusal(500, f"pool '{poolid}' does not exist")
    return api.cluster.pools[poolid]


def _named(pool: Pool) -> Row:
    return {"poolid": pool.poolid} | ({"comment": pool.comment} if pool.comment else {})


def members(api: Api, pool: Pool, kind: str = "") -> list[Row]:
    """Return the rows of a pool's guests and storages, or those of one kind."""
    cluster = api.cluster
    guests = [guest for vmid in sorted(pool.vmids) if (guest := cluster.guests.get(vmid))]
    rows = [
        guest_shape.guest_resource(guest, cluster.power.read(guest), cluster.release, cluster.nodes[guest.node])
        for guest in guests
    ]
    # A pool tells no tags, unlike /cluster/resources.
    rows = [{key: value for key, value in row.items() if key != "tags"} for row in rows]
    for name in sorted(pool.storages & cluster.storages.keys()):
        on = [node for node in cluster.nodes.values() if cluster.storages[name].on(node.name)]
        rows += [storage_shape.storage_resource(cluster.storages[name], node) for node in on]
    return [row for row in rows if kind in {"", row["type"]}]


ROUTES = (
    Route("GET", "/pools", listing),
    Route("GET", "/pools/{poolid}", pool),
)
