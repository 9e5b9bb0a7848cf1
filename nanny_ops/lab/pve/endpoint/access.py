"""The calls about users, tokens, roles and what they may do."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.state.access import WELL_KNOWN


def permissions(api: Api, call: Call) -> Any:
    """Answer with what a user or token may do, by path; of others only those with Sys.Audit on /access may know."""
    who = call.text("userid") or call.caller.who
    if who.partition("!")[0] != call.caller.user:
        call.caller.need("/access", "Sys.Audit")
    if path := call.text("path"):
        return {path: dict.fromkeys(sorted(api.access.privileges(who, path)), 1)}
    in_pools = {f"/vms/{vmid}" for vmid in api.cluster.pool_of()}
    paths = {*WELL_KNOWN, *in_pools, *(grant.path for grant in api.access.grants)}
    found = {path: api.access.privileges(who, path) for path in sorted(paths)}
    return {path: dict.fromkeys(sorted(held), 1) for path, held in found.items() if held}


ROUTES = (Route("GET", "/access/permissions", permissions),)
