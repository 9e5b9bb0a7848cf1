"""``nanny-ops snapshot``: snapshots and backups that orders made, and the removal of old ones."""

import re
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer

from nanny_ops.cli import agent as agents
from nanny_ops.cli import proxmox
from nanny_ops.cli.client import Client
from nanny_ops.cli.credential import connect
from nanny_ops.cli.table import AsJson, Column, Limit, age, flag, moment, show, show_one
from nanny_ops.errors import SettingsError, Unavailable
from nanny_ops.protocol.clock import now, parse_stamp
from nanny_ops.protocol.operation import ENDED, GOOD, Status
from nanny_ops.protocol.prune import Prune, Pruning
from nanny_ops.protocol.snapshot import SnapshotRow

app = typer.Typer(no_args_is_help=True, help="Snapshots and backups that orders made.")
COLUMNS: dict[str, Column] = {
    "name": "name",
    "guest": "who",
    "node": "node",
    "state": "state",
    "there": ("there", lambda value: flag(value) or "?"),
    "looked": ("checked_at", age),
    "made": ("made_at", age),
    "goes": ("expires_at", age),
    "order": "operation_id",
    "why": "why",
}
REMOVALS: dict[str, Column] = {"snapshot": "name", "guest": "who", "state": "state", "order": "order", "why": "why"}
SPARED: dict[str, Column] = {"snapshot": "name", "guest": "vmid", "why": "why", "reason": "reason"}
#: Seconds between two looks, and beyond an order's expiry after which nobody waits any more.
INTERVAL, PATIENCE = 2.0, 120
HOURS = {"h": 1, "d": 24, "w": 168}
_AGE = re.compile(r"(\d{1,6})([hdw]?)")
Guest = Annotated[str, typer.Option("--guest", "--vmid", help="Only of this guest: its number, name or id.")]
InAgent = Annotated[str, typer.Option("--agent", "--host", help="Only of this agent: id or host name.")]
InCluster = Annotated[str, typer.Option("--cluster", help="Only of this cluster: its id or name.")]
Older = Annotated[str, typer.Option("--older-than", help="Only older ones: 48h, 7d, 2w; a plain number is hours.")]


@app.command("list")
def list_snapshots(
    guest: Guest = "",
    agent: InAgent = "",
    cluster: InCluster = "",
    state: Annotated[str, typer.Option(help="Only made, kept, rolled_back, removed, gone or foreign.")] = "",
    kind: Annotated[str, typer.Option(help="Only snapshot or backup.")] = "",
    older_than: Older = "",
    past: Annotated[bool, typer.Option("--all", help="Those too that are removed or gone.")] = False,
    as_json: AsJson = False,
    limit: Limit = 500,
) -> None:
    """List what orders made and what is named as ours, newest first; ? is where nobody knows whether it is there."""
    older = hours(older_than)
    with connect() as client:
        filters = {**_where(client, guest, agent, cluster), "state": state, "kind": kind}
        filters |= {"older_than_hours": "" if older is None else str(older), "past": "true" if past else ""}
        found = client.snapshots(limit, **filters)
    show([asdict(one) if as_json else _row(one) for one in found], COLUMNS, as_json=as_json)


@app.command("show")
def show_snapshot(
    snapshot: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="Its id or its name.")], as_json: AsJson = False
) -> None:
    """Show one: what made it, whether it is there, and how old that knowledge is."""
    with connect() as client:
        found = client.snapshot(snapshot if snapshot.startswith("snapshot-") else _named(client, snapshot))
    show_one(asdict(found) if as_json else summary(found), as_json=as_json)


@app.command("prune")
def prune(
    guest: Guest = "",
    agent: InAgent = "",
    cluster: InCluster = "",
    older_than: Older = "",
    keep: Annotated[int | None, typer.Option(min=0, help="How many of each guest stay, the newest.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell which would go.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end; 1 unless all went.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove snapshots of ours that are too old or too many; without either word as the settings say."""
    if dry_run and watch:
        raise SettingsError("With --dry-run nothing is ordered that could be watched.")
    with connect() as client:
        asked: dict[str, Any] = {"older_than_hours": hours(older_than), "keep": keep, "dry": dry_run}
        where = _where(client, guest, agent, cluster)
        answer = client.prune({**{name: value for name, value in where.items() if value}, **asked})
        if watch:
            answer = replace(answer, orders=[to_end(client, one) for one in answer.orders])
    if as_json:
        show_one(asdict(answer), as_json=True)
    else:
        _tell(answer)
    if watch and any(one.outcome not in GOOD for one in answer.orders):
        raise typer.Exit(1)


def hours(text: str) -> int | None:
    """Read an age such as ``48h``, ``7d`` or ``2w`` as hours; nothing where there is none. Raises SettingsError."""
    if not text:
        return None
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise SettingsError(f"'{text}' is no age; write 48h, 7d or 2w.")
    return int(found[1]) * HOURS[found[2] or "h"]


def to_end(client: Client, order: Prune, sleep: Callable[[float], None] = time.sleep) -> Prune:
    """Wait and return the ended order. Raises Unavailable long after its expiry."""
    while Status(order.status) not in ENDED:
        if (now() - parse_stamp(order.expires_at)).total_seconds() > PATIENCE:
            raise Unavailable(f"{order.id} is still {order.status}, long after its expiry.")
        sleep(INTERVAL)
        order = client.prune_order(order.id)
    return order


def summary(one: SnapshotRow) -> dict[str, Any]:
    """Return what a person wants to know of one; --json has the rest."""
    looked = f", as of {age(one.checked_at)}" if one.checked_at else ""
    return {
        one.kind: one.name,
        "id": one.id,
        "of": f"{one.vmid} {one.guest}".strip(),
        "node": one.node,
        "storage": one.storage,
        "state": one.state,
        "is there": (flag(one.there) or "nobody knows") + looked,
        "why": one.why,
        "made": f"{moment(one.made_at)} UTC" if one.made_at else None,
        "before": one.operation_id,
        "may be gone back to": "yes, its order has not ended" if one.in_use else None,
        "task": one.upid,
        "goes by itself": f"{moment(one.expires_at)} UTC" if one.expires_at else None,
        "removed by": one.removed_by,
    }


def _row(one: SnapshotRow) -> dict[str, Any]:
    return {**asdict(one), "who": f"{one.vmid} {one.guest}".strip()}


def _tell(answer: Pruning) -> None:
    rows = [row for one in answer.orders for row in _removals(one, dry=answer.dry)]
    if rows:
        show(rows, REMOVALS, as_json=False, title="Would go" if answer.dry else "Snapshots")
    else:
        typer.echo("There is nothing to remove.")
    if answer.spared:
        print()
        show([asdict(one) for one in answer.spared], SPARED, as_json=False, title="Stay all the same")


def _removals(order: Prune, *, dry: bool) -> list[dict[str, Any]]:
    told = {one.name: one for one in order.removals}
    found = []
    for name in order.snapshots:
        one = told.get(name)
        state = "" if dry else one.outcome if one else order.outcome or order.status
        row = {"name": name, "who": f"{order.vmid} {order.guest}".strip(), "state": state, "order": order.id}
        found.append({**row, "why": one.reason if one else order.reason})
    return found


def _where(client: Client, guest: str, agent: str, cluster: str) -> dict[str, str]:
    found = {"cluster": cluster}
    if agent:
        found["agent_id"] = agents.find(client, agent)["agent_id"]
    if guest:
        known = proxmox.pick(client.inventory("guests", 100_000), guest, proxmox.GUEST_NAMES, "guest")
        found["guest_id"] = known["id"]
    return found


def _named(client: Client, name: str) -> str:
    """Return the id of what goes by a name. Raises NotFound, or Conflict where several do."""
    rows = [asdict(one) for one in client.snapshots(100_000, past="true")]
    return str(proxmox.pick(rows, name, ("name",), "snapshot")["id"])
