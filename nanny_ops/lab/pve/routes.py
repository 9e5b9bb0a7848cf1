"""Which calls the lab answers; whatever is missing here is answered 501 as by the real API."""

from nanny_ops.lab.pve.api import Handler, Route
from nanny_ops.lab.pve.endpoint import (
    access,
    backup,
    bulk,
    cluster,
    config,
    creation,
    guest,
    guest_agent,
    index,
    migration,
    node,
    pool,
    power,
    resource,
    rrd,
    snapshot,
    storage,
    task,
    ticket,
)

#: One module per family; each has its own tuple, so that a family is read in one place.
FAMILIES: tuple[tuple[Route, ...], ...] = (
    access.ROUTES,
    backup.ROUTES,
    bulk.ROUTES,
    cluster.ROUTES,
    config.ROUTES,
    creation.ROUTES,
    guest.ROUTES,
    guest_agent.ROUTES,
    index.ROUTES,
    migration.ROUTES,
    node.ROUTES,
    pool.ROUTES,
    power.ROUTES,
    resource.ROUTES,
    rrd.ROUTES,
    snapshot.ROUTES,
    storage.ROUTES,
    task.ROUTES,
    ticket.ROUTES,
)
ROUTES: dict[str, Handler] = {route.name: route.function for family in FAMILIES for route in family}
