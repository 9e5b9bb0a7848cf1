"""Directories of the API: they list their children, some of them others than those that the schema has below them."""

from dataclasses import dataclass
from typing import Any

from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call


@dataclass(frozen=True)
class _Listing:
    """What a directory lists beside and without its children; ``key`` names them."""

    key: str = "subdir"
    without: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


LISTINGS = {
    "/access": _Listing(without=("permissions", "vncticket")),
    "/nodes/{node}": _Listing("name", ("vncwebsocket", "execute")),
    "/nodes/{node}/scan": _Listing("method", ("lvmthin",)),
}


def listing(api: Api, call: Call) -> Any:
    """Answer with what there is below."""
    path = call.described.path
    known = LISTINGS[path]
    children = [child for child in api.table.children(path) if child not in known.without]
    return api.shuffled([{known.key: child} for child in (*children, *known.beside)])


ROUTES = tuple(Route("GET", path, listing) for path in LISTINGS)
