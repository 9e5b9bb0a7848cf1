"""``nanny-ops reboot``: order the reboot of a host or a guest, and read whether it happened."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from nanny_ops.cli import agent as agents
from nanny_ops.cli.client import Client
from nanny_ops.cli.credential import connect
from nanny_ops.cli.patch_run import aim
from nanny_ops.cli.table import AsJson, Column, Limit, age, moment, show, show_one
from nanny_ops.errors import SettingsError, Unavailable
from nanny_ops.protocol.clock import now, parse_stamp
from nanny_ops.protocol.operation import ENDED, GOOD, Status
from nanny_ops.protocol.reboot import DEFAULT_TIMEOUT, LONGEST_TIMEOUT, SHORTEST_TIMEOUT, Reboot

app = typer.Typer(no_args_is_help=True, help="Reboots of hosts and guests.")
COLUMNS: dict[str, Column] = {
    "order": "id",
    "target": "target",
    "agent": "agent_id",
    "state": "state",
    "why": "reason",
    "when": ("created_at", age),
}
#: Seconds between two looks, and beyond an order's expiry after which nobody waits any more.
INTERVAL, PATIENCE = 2.0, 120
Order = Annotated[str, typer.Argument(metavar="ORDER", help="The order's id.")]


@app.command("run")
def run(
    host: Annotated[str, typer.Argument(metavar="[HOST]", help="The agent's id or host name.")] = "",
    agent: Annotated[str, typer.Option(help="The same as HOST.")] = "",
    guest: Annotated[
        str, typer.Option("--guest", "--lxc", "--vmid", help="A guest's number, of the agent on its node unless named.")
    ] = "",
    reason: Annotated[str, typer.Option(help="Why; it is shown to others.")] = "",
    timeout: Annotated[
        int, typer.Option(min=SHORTEST_TIMEOUT, max=LONGEST_TIMEOUT, help="Seconds until it must have begun anew.")
    ] = DEFAULT_TIMEOUT,
    expires_at: Annotated[str, typer.Option(help="When an order that has not begun lapses (UTC, ISO 8601).")] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end; 1 unless it is proved.")] = False,
    as_json: AsJson = False,
) -> None:
    """Order the reboot of a host or of one of its guests."""
    if host and agent and host != agent:
        raise SettingsError("HOST and --agent name two agents.")
    with connect() as client:
        agent_id, vmid = aim(client, host or agent, guest)
        asked: dict[str, Any] = {
            "agent_id": agent_id,
            "vmid": vmid,
            "reason": reason,
            "timeout_seconds": timeout,
            "expires_at": expires_at,
        }
        placed = client.place_reboot(asked)
        if watch:
            placed = to_end(client, placed)
    if as_json:
        show_one(asdict(placed), as_json=True)
    else:
        typer.echo(f"{placed.id}: {placed.outcome or placed.status}. {placed.explanation}" if watch else placed.id)
    if watch and placed.outcome not in GOOD:
        raise typer.Exit(1)


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


def to_end(client: Client, reboot: Reboot, sleep: Callable[[float], None] = time.sleep) -> Reboot:
    """Wait and return the ended reboot. Raises Unavailable long after its expiry."""
    while Status(reboot.status) not in ENDED:
        if (now() - parse_stamp(reboot.expires_at)).total_seconds() > PATIENCE:
            raise Unavailable(f"{reboot.id} is still {reboot.status}, long after its expiry.")
        sleep(INTERVAL)
        reboot = client.reboot(reboot.id)
    return reboot


def summary(reboot: Reboot) -> dict[str, Any]:
    """Return what a person wants to know of a reboot; --json has the rest."""
    kind, _, vmid = reboot.target.partition(":")
    place = {"lxc": f"container {vmid}", "qemu": f"virtual machine {vmid}"}.get(kind, "the host itself")
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
        "was": reboot.before or None,
        "is": reboot.after or None,
        "lapses": f"{moment(reboot.expires_at)} UTC" if ended is None else None,
    }
