"""``nanny-ops reboot``: order the reboot of a host or a guest, and read whether it happened."""

import json
import uuid
from dataclasses import asdict
from typing import Annotated, Any

import typer

from nanny_ops.cli import agent as agents
from nanny_ops.cli.client import Client
from nanny_ops.cli.credential import connect
from nanny_ops.cli.live import Followed, Live, follow
from nanny_ops.cli.meter import Meter
from nanny_ops.cli.patch_run import aim
from nanny_ops.cli.table import AsJson, Column, Limit, age, moment, show, show_one
from nanny_ops.errors import SettingsError
from nanny_ops.protocol.operation import GOOD
from nanny_ops.protocol.reboot import DEFAULT_TIMEOUT, LONGEST_TIMEOUT, SHORTEST_TIMEOUT, Reboot
from nanny_ops.protocol.watch import END

app = typer.Typer(no_args_is_help=True, help="Reboots of hosts and guests.")
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
        placed = client.place_reboot(asked, key=str(uuid.uuid4()))
        if watch:
            _tell_end(_follow(client, placed, as_json=as_json), as_json=as_json)
        elif as_json:
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


@app.command("watch")
def watch_reboot(order: Order, as_json: AsJson = False) -> None:
    """Follow a reboot to its end; 1 unless it is proved."""
    with connect() as client:
        _tell_end(_follow(client, client.reboot(order), as_json=as_json), as_json=as_json)


@app.command("cancel")
def cancel(order: Order, as_json: AsJson = False) -> None:
    """Take a reboot back that its agent has not acknowledged."""
    with connect() as client:
        found = client.cancel_reboot(order)
    if as_json:
        show_one(asdict(found), as_json=True)
    else:
        typer.echo(f"{found.id} is {found.status}.")


def _follow(client: Client, placed: Reboot, *, as_json: bool) -> Reboot:
    live = Live({placed.id: Followed(placed.target, Meter([]))}, as_json=as_json)
    again, cancel = (f"nanny-ops reboot {verb} {placed.id}" for verb in ("watch", "cancel"))
    follow(client, "reboots", placed.id, live, again=again, cancel=cancel)
    return client.reboot(placed.id)


def _tell_end(ended: Reboot, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"event": END, "id": ended.id, "reboot": asdict(ended)}))
    else:
        typer.echo(f"{ended.id}: {ended.outcome or ended.status}. {ended.explanation}")
    if ended.outcome not in GOOD:
        raise typer.Exit(1)


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
