"""``nanny-ops update``: how the updates of agents stand; ``nanny-ops agent update`` orders them."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer

from nanny_ops.cli.credential import connect
from nanny_ops.cli.enrolled import find
from nanny_ops.cli.table import AsJson, Column, Limit, age, show, show_one
from nanny_ops.cli.watch import to_end
from nanny_ops.protocol.operation import GOOD
from nanny_ops.protocol.update import Update

app = typer.Typer(no_args_is_help=True, help="Updates of agents.")
COLUMNS: dict[str, Column] = {
    "update": "id",
    "agent": "agent_id",
    "version": "version",
    "state": "state",
    "why": "reason",
    "when": ("created_at", age),
}
Order = Annotated[str, typer.Argument(metavar="UPDATE", help="The update's id.")]


@app.command("list")
def list_updates(
    agent: Annotated[str, typer.Option(help="Only this agent's: id or host name.")] = "",
    status: Annotated[str, typer.Option(help="Only with this status.")] = "",
    outcome: Annotated[str, typer.Option(help="Only with this outcome.")] = "",
    as_json: AsJson = False,
    limit: Limit = 50,
) -> None:
    """List updates, newest first."""
    with connect() as client:
        agent_id = find(client, agent)["agent_id"] if agent else ""
        found = [asdict(one) for one in client.updates(limit, agent_id=agent_id, status=status, outcome=outcome)]
    for row in () if as_json else found:
        row["state"] = row["outcome"] or row["status"]
    show(found, COLUMNS, as_json=as_json)


@app.command("show")
def show_update(order: Order, as_json: AsJson = False) -> None:
    """Show one update."""
    with connect() as client:
        show_one(asdict(client.update(order)), as_json=as_json)


@app.command("cancel")
def cancel(order: Order) -> None:
    """Take an update back that its agent has not begun."""
    with connect() as client:
        found = client.cancel_update(order)
    typer.echo(f"{found.id} is {found.status}.")


def place(names: Iterable[str], release: str, *, force: bool, watch: bool, as_json: bool) -> int:
    """Order updates and return the exit code: 1 when one of those that were watched did not succeed."""
    with connect() as client:
        ids = [find(client, name)["agent_id"] for name in names]
        asked = {"release_id": release, "force": force}
        placed = [client.place_update({**asked, "agent_id": agent_id}) for agent_id in ids]
        ended = [to_end(client.update, one) for one in placed] if watch else placed
    if as_json:
        show([asdict(one) for one in ended], {}, as_json=True)
    for one in () if as_json else ended:
        typer.echo(_told(one) if watch else one.id)
    return int(watch and any(one.outcome not in GOOD for one in ended))


def _told(update: Update) -> str:
    runs = f", it runs {update.running_version}" if update.running_version else ""
    return f"{update.id}: {update.outcome or update.status}{runs}. {update.reason}".rstrip()
