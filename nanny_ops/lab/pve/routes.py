"""Which calls the lab answers; whatever is missing here is answered 501 as by the real API."""

from nanny_ops.lab.pve.api import Handler, Route
from nanny_ops.lab.pve.endpoint import access, cluster, config, guest, node, power, resource, snapshot, task

#: One module per family; each has its own tuple, so that a family is read in one place.
FAMILIES: tuple[tuple[Route, ...], ...] = (
    access.ROUTES,
    cluster.ROUTES,
    config.ROUTES,
    guest.ROUTES,
    node.ROUTES,
    power.ROUTES,
    resource.ROUTES,
    snapshot.ROUTES,
    task.ROUTES,
)
ROUTES: dict[str, Handler] = {route.name: route.function for family in FAMILIES for route in family}
