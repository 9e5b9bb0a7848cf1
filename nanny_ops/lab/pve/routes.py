"""Which calls the lab answers; whatever is missing here is answered 501 as by the real API."""

from nanny_ops.lab.pve.api import Handler, Route
from nanny_ops.lab.pve.endpoint import (
    access,
    cluster,
    config,
    guest,
    index,
    node,
    pool,
    power,
    resource,
    snapshot,
    storage,
    task,
    ticket,
)

#: One module per family; each has its own tuple, so that a family is read in one place.
FAMILIES: tuple[tuple[Route, ...], ...] = (
    access.ROUTES,
    cluster.ROUTES,
    config.ROUTES,
    guest.ROUTES,
    index.ROUTES,
    node.ROUTES,
    pool.ROUTES,
    power.ROUTES,
    resource.ROUTES,
    snapshot.ROUTES,
    storage.ROUTES,
    task.ROUTES,
    ticket.ROUTES,
)
ROUTES: dict[str, Handler] = {route.name: route.function for family in FAMILIES for route in family}
