"""The one call that lists everything: guests, nodes, storages, pools and networks that the caller may see."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Route, Row
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.shape import guest as guest_shape
from nanny_ops.lab.pve.shape import node as shape
from nanny_ops.lab.pve.shape import storage as storage_shape
from nanny_ops.lab.pve.state.access import Caller


def resources(api: Api, call: Call) -> Any:
    """Answer with what the caller may see; pools are told only where no type is asked for."""
    kind = call.text("type")
    guests = _guests(api, call.caller)
    rows = _pools(api, call.caller, guests) if not kind else []
    rows += guests if kind in {"", "vm"} else []
    networks = "sdn" if api.cluster.release == "8.4" else "network"
    for node in api.cluster.nodes.values():
        if kind in {"", "node"}:
            full = call.caller.may(f"/nodes/{node.name}", "Sys.Audit")
            rows.append(shape.node_resource(node, api.clock(), full=full))
        if kind in {"", "storage"}:
            seen = [s for s in api.cluster.storages.values() if s.on(node.name) and s.enabled]
            seen = [s for s in seen if call.caller.may_any(f"/storage/{s.name}", ("Datastore.Audit",))]
            rows += [storage_shape.storage_resource(storage, node) for storage in seen]
        if kind in {"", networks} and call.caller.may("/sdn/zones/localnetwork", "SDN.Audit"):
            rows.append(shape.network_resource(node, api.cluster.release))
    return api.shuffled(rows)


def _guests(api: Api, caller: Caller) -> list[Row]:
    cluster = api.cluster
    pools = {vmid: pool for vmid, pool in cluster.pool_of().items() if caller.may(f"/pool/{pool}", "Pool.Audit")}
    managed = {resource.vmid: resource.state for resource in cluster.ha.values()}
    rows = []
    for guest in cluster.list_guests():
        if caller.may(f"/vms/{guest.vmid}", "VM.Audit"):
            row = guest_shape.guest_resource(
                guest, cluster.power.read(guest), cluster.release, cluster.nodes[guest.node]
            )
            row |= {"pool": pools[guest.vmid]} if guest.vmid in pools else {}
            rows.append(row | ({"hastate": managed[guest.vmid]} if guest.vmid in managed else {}))
    return rows


def _pools(api: Api, caller: Caller, guests: list[Row]) -> list[Row]:
    seen = [pool for pool in api.cluster.pools if caller.may(f"/pool/{pool}", "Pool.Audit")]
    return [_pool(poolid, [row for row in guests if row.get("pool") == poolid]) for poolid in seen]


def _pool(poolid: str, members: list[Row]) -> Row:
    """Return a pool's row: the sums of its running members."""
    running = [row for row in members if row["status"] == "running"]
    sums = {key: sum(row[key] for row in running) for key in ("maxcpu", "maxmem", "mem", "cpu")}
    longest = max((row["uptime"] for row in running), default=0)
    return {"id": f"/pool/{poolid}", "pool": poolid, "type": "pool", "uptime": longest, **sums}


ROUTES = (Route("GET", "/cluster/resources", resources),)
