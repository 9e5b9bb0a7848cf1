"""``nanny-ops cluster|node|guest|storage|task``: what agents have reported of Proxmox VE."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from nanny_ops.cli.client import Client, InventoryNoun
from nanny_ops.cli.credential import connect
from nanny_ops.cli.detail import show_detail
from nanny_ops.cli.following import Every, Watched, follow
from nanny_ops.cli.history import show_history
from nanny_ops.cli.table import AsJson, Column, Limit, age, show
from nanny_ops.cli.unit import measured, percent, release, size
from nanny_ops.cli.upkeep import waiting
from nanny_ops.errors import Conflict, NotFound, SettingsError

cluster = typer.Typer(no_args_is_help=True, help="Proxmox VE clusters.")
node = typer.Typer(no_args_is_help=True, help="Proxmox VE nodes.")
guest = typer.Typer(no_args_is_help=True, help="Containers and virtual machines.")
storage = typer.Typer(no_args_is_help=True, help="Storages, as each node sees them.")
task = typer.Typer(no_args_is_help=True, help="Tasks of Proxmox VE that failed.")
#: The keys by which things are called; an id wins over a name that looks like one.
CLUSTER_NAMES = ("id", "cluster_id", "cluster_name")
NODE_NAMES = ("id", "name")
GUEST_NAMES = ("id", "vmid", "name")
CLUSTERS: dict[str, Column] = {
    "cluster": "cluster_name",
    "status": "status",
    "nodes": "nodes",
    "reported": ("updated_at", age),
    "by": "agent_hostname",
}
NODES: dict[str, Column] = {
    "node": "name",
    "cluster": "cluster_name",
    "status": "status",
    "since": ("since", age),
    "cpu": "cpu",
    "memory": "memory",
    "disk": "disk",
    "ip": "ip",
    "version": ("pve_version", release),
    "not known": "not_known",
    "reported": ("updated_at", age),
}
GUESTS: dict[str, Column] = {
    "vmid": "vmid",
    "kind": "kind",
    "name": "name",
    "node": "node",
    "status": "status",
    "since": ("since", age),
    "updates": ("upkeep", waiting),
    "cpu": "cpu",
    "memory": "memory",
    "lock": "lock",
    "pool": "pool",
    "ostype": "ostype",
    "tags": "tags",
    "not known": "not_known",
    "gone": ("gone_at", age),
}
STORAGES: dict[str, Column] = {
    "storage": "name",
    "node": "node",
    "cluster": "cluster_name",
    "kind": "kind",
    "status": "status",
    "used": ("used", size),
    "of": ("total", size),
    "full": ("used_fraction", percent),
    "shared": "shared",
    "content": "content",
}
TASKS: dict[str, Column] = {
    "failed": ("started_at", age),
    "kind": "kind",
    "about": "about",
    "node": "node",
    "user": "user",
    "error": "status",
    "id": "id",
}
InCluster = Annotated[str, typer.Option("--cluster", help="Only in this cluster: id or name.")]
OnNode = Annotated[str, typer.Option("--node", help="Only on this node.")]
Named = Annotated[str, typer.Option("--name", help="Only where the name has this part.")]
Fact = Annotated[str, typer.Option("--fact", help="Only where a part is ok, absent, forbidden, failed or stale.")]
Gone = Annotated[bool, typer.Option("--gone", help="Those that are gone instead.")]
History = Annotated[
    str, typer.Option("--history", help="Usage over time instead: raw, 5min, 1h or 1d; needs no --json to be read.")
]
Since = Annotated[str, typer.Option("--since", help="With --history: from when on, ISO 8601.")]
Until = Annotated[str, typer.Option("--until", help="With --history: until when, ISO 8601.")]


@cluster.command("list")
def list_clusters(
    name: Named = "", as_json: AsJson = False, limit: Limit = 1000, watch: Watched = False, every: Every = 5.0
) -> None:
    """List clusters, and whether they have quorum."""
    _list("clusters", CLUSTERS, {"name": name}, as_json=as_json, limit=limit, watch=watch, every=every)


@cluster.command("show")
def show_cluster(name: Annotated[str, typer.Argument(help="Its id or name.")], as_json: AsJson = False) -> None:
    """Show a cluster and how well it is known."""
    _show("clusters", name, CLUSTER_NAMES, as_json=as_json)


@node.command("list")
def list_nodes(
    in_cluster: InCluster = "",
    name: Named = "",
    status: Annotated[str, typer.Option(help="Only online, offline or unknown.")] = "",
    fact: Fact = "",
    gone: Gone = False,
    as_json: AsJson = False,
    limit: Limit = 1000,
    watch: Watched = False,
    every: Every = 5.0,
) -> None:
    """List nodes, how they are and what they use."""
    filters = {"cluster": in_cluster, "name": name, "status": status, "fact": fact, "gone": _flag(gone)}
    _list("nodes", NODES, filters, as_json=as_json, limit=limit, watch=watch, every=every)


@node.command("show")
def show_node(
    name: Annotated[str, typer.Argument(help="Its id or name.")],
    history: History = "",
    since: Since = "",
    until: Until = "",
    as_json: AsJson = False,
) -> None:
    """Show a node, how well each part of it is known, or what it used."""
    _show("nodes", name, NODE_NAMES, as_json=as_json, history=(history, since, until))


@guest.command("list")
def list_guests(
    in_cluster: InCluster = "",
    on_node: OnNode = "",
    name: Named = "",
    kind: Annotated[str, typer.Option(help="Only lxc, or only qemu.")] = "",
    status: Annotated[str, typer.Option(help="Only running, stopped, unknown ...")] = "",
    tag: Annotated[str, typer.Option(help="Only with this tag.")] = "",
    pool: Annotated[str, typer.Option(help="Only of this pool.")] = "",
    lock: Annotated[str, typer.Option(help="Only with this lock: backup, snapshot, migrate ...")] = "",
    fact: Fact = "",
    gone: Gone = False,
    as_json: AsJson = False,
    limit: Limit = 1000,
    watch: Watched = False,
    every: Every = 5.0,
) -> None:
    """List containers and virtual machines."""
    filters = {"cluster": in_cluster, "node": on_node, "name": name, "kind": kind, "status": status, "tag": tag}
    filters |= {"pool": pool, "lock": lock, "fact": fact, "gone": _flag(gone)}
    _list("guests", GUESTS, filters, as_json=as_json, limit=limit, watch=watch, every=every)


@guest.command("show")
def show_guest(
    name: Annotated[str, typer.Argument(help="Its id, number or name.")],
    history: History = "",
    since: Since = "",
    until: Until = "",
    as_json: AsJson = False,
) -> None:
    """Show a guest, how well each part of it is known, or what it used."""
    _show("guests", name, GUEST_NAMES, as_json=as_json, history=(history, since, until))


@storage.command("list")
def list_storages(
    in_cluster: InCluster = "",
    on_node: OnNode = "",
    name: Named = "",
    kind: Annotated[str, typer.Option(help="Only zfspool, dir, nfs ...")] = "",
    status: Annotated[str, typer.Option(help="Only with this status.")] = "",
    full: Annotated[bool, typer.Option("--full", help="Only those that are nine tenths full or more.")] = False,
    as_json: AsJson = False,
    limit: Limit = 1000,
    watch: Watched = False,
    every: Every = 5.0,
) -> None:
    """List storages and how full they are."""
    filters = {"cluster": in_cluster, "node": on_node, "name": name, "kind": kind, "status": status}
    filters |= {"full": _flag(full)}
    _list("storages", STORAGES, filters, as_json=as_json, limit=limit, watch=watch, every=every)


@storage.command("show")
def show_storage(
    name: Annotated[str, typer.Argument(help="Its id, or its name where one node has it.")],
    on_node: OnNode = "",
    history: History = "",
    since: Since = "",
    until: Until = "",
    as_json: AsJson = False,
) -> None:
    """Show a storage, how well it is known, or how it filled."""
    filters = {"node": on_node}
    _show("storages", name, NODE_NAMES, as_json=as_json, history=(history, since, until), filters=filters)


@task.command("list")
def list_tasks(
    in_cluster: InCluster = "",
    on_node: OnNode = "",
    kind: Annotated[str, typer.Option(help="Only vzdump, vzmigrate, qmstart ...")] = "",
    about: Annotated[str, typer.Option(help="Only about this guest's number.")] = "",
    as_json: AsJson = False,
    limit: Limit = 50,
    watch: Watched = False,
    every: Every = 5.0,
) -> None:
    """List tasks that failed, newest first."""
    filters = {"cluster": in_cluster, "node": on_node, "kind": kind, "about": about}
    _list("tasks", TASKS, filters, as_json=as_json, limit=limit, watch=watch, every=every)


@task.command("show")
def show_task(name: Annotated[str, typer.Argument(help="Its id or UPID.")], as_json: AsJson = False) -> None:
    """Show a task that failed."""
    with connect() as client:
        show_detail(client.inventory_item("tasks", name), as_json=as_json)


def pick(known: list[dict[str, Any]], name: str, names: Iterable[str], one: str) -> dict[str, Any]:
    """Return the one thing that goes by this name. Raises NotFound, or Conflict where several do."""
    for key in names:
        found = [row for row in known if str(row.get(key)) == name]
        if len(found) > 1:
            raise Conflict(
                f"There are {len(found)} with the {key} '{name}'; give its id ('nanny-ops {one} list --json')."
            )
        if found:
            return found[0]
    raise NotFound(f"There is no {one} '{name}'; 'nanny-ops {one} list' shows all.")


def _list(
    noun: InventoryNoun,
    columns: Mapping[str, Column],
    filters: Mapping[str, str],
    *,
    as_json: bool,
    limit: int,
    watch: bool,
    every: float,
) -> None:
    with connect() as client:

        def look() -> list[dict[str, Any]]:
            return client.inventory(noun, limit, **filters)

        def draw(rows: list[dict[str, Any]]) -> None:
            shown = rows if as_json else [measured(row) for row in rows]
            show(shown, _useful(columns, shown), as_json=as_json)

        if watch:
            follow(look, draw, every)
        else:
            draw(look())


def _show(
    noun: InventoryNoun,
    name: str,
    names: tuple[str, ...],
    *,
    as_json: bool,
    history: tuple[str, str, str] = ("", "", ""),
    filters: Mapping[str, str] | None = None,
) -> None:
    resolution, since, until = history
    if (since or until) and not resolution:
        raise SettingsError("--since and --until go with --history.")
    with connect() as client:
        key = _key(client, noun, name, names, filters or {})
        if resolution:
            show_history(client.usage_history(noun, key, resolution, since, until), as_json=as_json)
        else:
            show_detail(client.inventory_item(noun, key), as_json=as_json)


def _key(client: Client, noun: InventoryNoun, name: str, names: tuple[str, ...], filters: Mapping[str, str]) -> str:
    found = pick(client.inventory(noun, 100_000, **filters), name, names, noun.removesuffix("s"))
    return str(found["id"])


def _useful(columns: Mapping[str, Column], rows: list[dict[str, Any]]) -> dict[str, Column]:
    """Leave out columns in which no row says anything, so that a table fits its window; the first always stays."""
    keys = {heading: column if isinstance(column, str) else column[0] for heading, column in columns.items()}
    first = next(iter(columns))
    empty: tuple[Any, ...] = (None, "", [], {})
    return {
        heading: column
        for heading, column in columns.items()
        if heading == first or not rows or any(row.get(keys[heading]) not in empty for row in rows)
    }


def _flag(value: bool) -> str:
    return "true" if value else ""
