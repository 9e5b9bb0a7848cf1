"""``nanny-ops exception``: packages that stay as they are, why and until when."""

import sys
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer

from nanny_ops.cli import agent as agents
from nanny_ops.cli import proxmox
from nanny_ops.cli.client import Client
from nanny_ops.cli.credential import connect
from nanny_ops.cli.table import AsJson, Column, Limit, age, moment, show, show_one
from nanny_ops.errors import SettingsError
from nanny_ops.protocol.clock import now, stamp
from nanny_ops.protocol.package_exception import PackageException

app = typer.Typer(no_args_is_help=True, help="Packages that are held back.")
COLUMNS: dict[str, Column] = {
    "exception": "id",
    "package": "package",
    "where": "where",
    "until": "until",
    "why": "reason",
    "made": ("created_at", age),
}
Key = Annotated[str, typer.Argument(metavar="EXCEPTION", help="The exception's id.")]


@app.command("add")
def add(
    package: Annotated[str, typer.Argument(help="The package's exact name.")],
    reason: Annotated[str, typer.Option(help="Why; it is shown with every order and result.")],
    tag: Annotated[str, typer.Option(help="Only on guests and agents with this tag.")] = "",
    agent: Annotated[str, typer.Option("--agent", "--host", help="Only on this agent's host itself.")] = "",
    guest: Annotated[str, typer.Option("--guest", "--vmid", help="Only on this guest: its number or name.")] = "",
    days: Annotated[int, typer.Option(min=0, help="Days after which it ends by itself; 0: when it is removed.")] = 0,
    expires_at: Annotated[str, typer.Option(help="When it ends by itself (UTC, ISO 8601).")] = "",
    as_json: AsJson = False,
) -> None:
    """Hold a package back in every order that has not begun, on all of the team unless said otherwise."""
    if sum(map(bool, (tag, agent, guest))) > 1:
        raise SettingsError("Give one of --tag, --agent and --guest.")
    if days and expires_at:
        raise SettingsError("Give one of --days and --expires-at.")
    until = stamp(now() + timedelta(days=days)) if days else expires_at
    with connect() as client:
        asked = {"package": package, "reason": reason, "expires_at": until, **_where(client, tag, agent, guest)}
        made = client.add_exception(asked)
    if as_json:
        show_one(asdict(made), as_json=True)
    else:
        typer.echo(made.id)
        tell_reach(made, "leaves")


@app.command("list")
def list_exceptions(
    every: Annotated[bool, typer.Option("--all", help="Those that have ended too.")] = False,
    as_json: AsJson = False,
    limit: Limit = 500,
) -> None:
    """List what is held back, newest first."""
    with connect() as client:
        found = client.exceptions(limit, active="" if every else "true")
    show([_row(one) for one in found], COLUMNS, as_json=as_json)


@app.command("show")
def show_exception(exception: Key, as_json: AsJson = False) -> None:
    """Show one exception."""
    with connect() as client:
        found = client.exception(exception)
    show_one(asdict(found) if as_json else _row(found), as_json=as_json)


@app.command("remove")
def remove(exception: Key) -> None:
    """End an exception, also for orders that wait; those that have begun keep it."""
    with connect() as client:
        ended = client.remove_exception(exception)
    typer.echo(f"{ended.package} is no longer held back by {ended.id}.")
    tell_reach(ended, "no longer leaves")


def tell_reach(changed: PackageException, does: str) -> None:
    """Say on stderr which orders a change reaches: those that wait, and not those that have begun."""
    if changed.reaches:
        number = "1 order that waits" if changed.reaches == 1 else f"each of {changed.reaches} orders that wait"
        print(f"It counts at once: {number} {does} {changed.package}.", file=sys.stderr)
    for one in changed.unreached:
        what = "an apply" if one.mode == "apply" else "a dry run"
        print(f"Too late for {one.operation_id}, {what} on {one.target} that runs already.", file=sys.stderr)


def _where(client: Client, tag: str, agent: str, guest: str) -> dict[str, str]:
    if tag:
        return {"scope": "group", "tag": tag}
    if agent:
        return {"scope": "host", "agent_id": agents.find(client, agent)["agent_id"]}
    if guest:
        found = proxmox.pick(client.inventory("guests", 100_000), guest, proxmox.GUEST_NAMES, "guest")
        return {"scope": "guest", "guest_id": found["id"]}
    return {"scope": "fleet"}


def _row(one: PackageException) -> dict[str, Any]:
    named = one.tag or one.agent_id or one.guest_id
    ended = "removed" if one.removed_at else "" if one.active else "expired"
    until = f"{moment(one.expires_at)} UTC" if one.expires_at else "removed"
    return {**asdict(one), "where": f"{one.scope} {named}".strip(), "until": ended or until}
