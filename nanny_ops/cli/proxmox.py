"""``nanny-ops cluster|node|guest``: what agents have reported of Proxmox VE."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from nanny_ops.cli.credential import connect
from nanny_ops.cli.table import AsJson, Column, Limit, age, flag, show, show_one
from nanny_ops.errors import Conflict, NotFound

Noun = Literal["clusters", "nodes", "guests"]
cluster = typer.Typer(no_args_is_help=True, help="Proxmox VE clusters.")
node = typer.Typer(no_args_is_help=True, help="Proxmox VE nodes.")
#: The keys by which a guest is called.
GUEST_NAMES = ("id", "vmid", "name")
guest = typer.Typer(no_args_is_help=True, help="Containers and virtual machines.")


def _commands(app: typer.Typer, noun: Noun, columns: Mapping[str, Column], names: tuple[str, ...]) -> None:
    """Give a noun its commands ``list`` and ``show``; ``names`` are the keys by which one is called."""
    one = noun.removesuffix("s")

    @app.command("list", help=f"List every {one}.")
    def list_all(as_json: AsJson = False, limit: Limit = 1000) -> None:
        with connect() as client:
            show(client.inventory(noun, limit), columns, as_json=as_json)

    @app.command("show", help=f"Show one {one}.")
    def show_one_of(
        name: Annotated[str, typer.Argument(help=f"One of its {', '.join(names)}.")], as_json: AsJson = False
    ) -> None:
        with connect() as client:
            found = pick(client.inventory(noun, 100_000), name, names, one)
            show_one(client.inventory_item(noun, found["id"]), as_json=as_json)


def pick(known: list[dict[str, Any]], name: str, names: tuple[str, ...], one: str) -> dict[str, Any]:
    """Return the one thing that goes by this name. Raises NotFound, or Conflict where several do."""
    for key in names:  # an id wins over a name that looks like one
        found = [row for row in known if str(row.get(key)) == name]
        if len(found) > 1:
            raise Conflict(
                f"There are {len(found)} with the {key} '{name}'; give its id ('nanny-ops {one} list --json')."
            )
        if found:
            return found[0]
    raise NotFound(f"There is no {one} '{name}'; 'nanny-ops {one} list' shows all.")


def release(version: str | None) -> str:
    """Return 8.4.21 of ``pve-manager/8.4.21/2606ac850d46da29``, and anything else as it is."""
    parts = (version or "").split("/")
    return parts[1] if len(parts) == 3 else version or ""


_commands(
    cluster,
    "clusters",
    {"cluster": "cluster_name", "nodes": "nodes", "quorate": ("quorate", flag), "reported": ("updated_at", age)},
    ("id", "cluster_id", "cluster_name"),
)
_commands(
    node,
    "nodes",
    {
        "node": "name",
        "cluster": "cluster_name",
        "ip": "ip",
        "online": ("online", flag),
        "version": ("pve_version", release),
        "reported": ("updated_at", age),
    },
    ("id", "name"),
)
_commands(
    guest,
    "guests",
    {
        "vmid": "vmid",
        "kind": "kind",
        "name": "name",
        "node": "node",
        "status": "status",
        "ostype": "ostype",
        "tags": "tags",
        "gone": ("gone_at", age),
    },
    GUEST_NAMES,
)
