"""``nanny-ops reboot``: order the reboot of a host or a container, and read whether it happened."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from nanny_ops.cli import agent as agents
from nanny_ops.cli.credential import connect
from nanny_ops.cli.table import AsJson, Column, Limit, age, moment, show, show_one
from nanny_ops.protocol.reboot import DEFAULT_TIMEOUT, LONGEST_TIMEOUT, SHORTEST_TIMEOUT, Reboot

app = typer.Typer(no_args_is_help=True, help="Reboots of hosts and containers.")
COLUMNS: dict[str, Column] = {
    "order": "id",
    "target": "target",
    "agent": "agent_id",
    "state": "state",
    "why": "reason",
    "when": ("created_at", age),
}
Order = Annotated[str, typer.Argument(metavar="ORDER", help="The order's id.")]


@app.command("run")
def run(
    agent: Annotated[str, typer.Option(help="The agent's id or host name.")],
    guest: Annotated[str, typer.Option("--guest", "--lxc", "--vmid", help="A container's number, else the host.")] = "",
    reason: Annotated[str, typer.Option(help="Why; it is shown to others.")] = "",
    timeout: Annotated[
        int, typer.Option(min=SHORTEST_TIMEOUT, max=LONGEST_TIMEOUT, help="Seconds until it must have begun anew.")
    ] = DEFAULT_TIMEOUT,
    expires_at: Annotated[str, typer.Option(help="When an order that has not begun lapses (UTC, ISO 8601).")] = "",
    as_json: AsJson = False,
) -> None:
    """Order the reboot of a host or of one of its containers."""
    with connect() as client:
        asked: dict[str, Any] = {
            "agent_id": agents.find(client, agent)["agent_id"],
            "vmid": guest,
            "reason": reason,
            "timeout_seconds": timeout,
            "expires_at": expires_at,
        }
        placed = client.place_reboot(asked)
    if as_json:
        show_one(asdict(placed), as_json=True)
    else:
        typer.echo(placed.id)


@app.command("list")
def list_reboots(
    agent: Annotated[str, typer.Option(help="Only this agent's: id or host name.")] = "",
    status: Annotated[str, typer.Option(help="Only with this status.")] = "",
    outcome: Annotated[str, typer.Option(help="Only with this outcome.")] = "",
    as_json: AsJson = False,
    limit: Limit = 50,
) -> None:
    """List reboots, newest first."""
    with connect() as client:
        agent_id = agents.find(client, agent)["agent_id"] if agent else ""
        found = [asdict(one) for one in client.reboots(limit, agent_id=agent_id, status=status, outcome=outcome)]
    for row in () if as_json else found:
        row["state"] = row["outcome"] or row["status"]
    show(found, COLUMNS, as_json=as_json)


@app.command("show")
def show_reboot(order: Order, as_json: AsJson = False) -> None:
    """Show one reboot and what is known of it."""
    with connect() as client:
        found = client.reboot(order)
    show_one(asdict(found) if as_json else summary(found), as_json=as_json)


@app.command("cancel")
def cancel(order: Order, as_json: AsJson = False) -> None:
    """Take a reboot back that its agent has not acknowledged."""
    with connect() as client:
        found = client.cancel_reboot(order)
    if as_json:
        show_one(asdict(found), as_json=True)
    else:
        typer.echo(f"{found.id} is {found.status}.")


def summary(reboot: Reboot) -> dict[str, Any]:
    """Return what a person wants to know of a reboot; --json has the rest."""
    container = reboot.target.removeprefix("lxc:")
    place = "the host itself" if container == reboot.target else f"container {container}"
    begun, ended = reboot.acknowledged_at, reboot.finished_at
    return {
        "order": reboot.id,
        "where": f"{place}, by {reboot.agent_id}",
        "why": reboot.reason,
        "status": reboot.status,
        "outcome": reboot.outcome,
        "known": reboot.explanation,
        "ordered": f"{moment(reboot.created_at)} UTC",
        "acknowledged": f"{moment(begun)} UTC" if begun else None,
        "ended": f"{moment(ended)} UTC" if ended else None,
        "lapses": f"{moment(reboot.expires_at)} UTC" if ended is None else None,
    }
