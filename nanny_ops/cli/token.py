"""``nanny-ops token`` and ``nanny-ops enrollment-token``: secrets for automation, for agents, and for fleets.

A new secret is the only thing on standard output, so that it can go straight into a file; what it is for is told on
standard error.
"""

from typing import Annotated, Any

import typer

from nanny_ops.cli.agent import find
from nanny_ops.cli.credential import connect
from nanny_ops.cli.table import AsJson, Column, Limit, age, show, show_one
from nanny_ops.protocol.token import DAY

own = typer.Typer(no_args_is_help=True, help="Tokens for automation, and for single agents.")
fleet = typer.Typer(no_args_is_help=True, help="Tokens with which machines enrol without a person.")
COMMON: dict[str, Column] = {
    "token": "id",
    "name": "name",
    "state": "condition",
    "expires": ("expires_at", age),
    "last used": ("last_used_at", age),
}
FLEET: dict[str, Column] = {**COMMON, "uses": "uses", "of": "max_uses", "from": "ranges", "tags": "tags"}
OWN: dict[str, Column] = {**COMMON, "kind": "kind", "scopes": "scopes", "agent": "agent_id"}
Name = Annotated[str, typer.Option("--name", help="What it is for, to know it again in the list.")]
Days = Annotated[int, typer.Option("--days", min=1, max=366, help="Days until it expires.")]
Team = Annotated[str, typer.Option("--team", help="Id of the team it works in; by default your first.")]


@fleet.command("add")
def add_enrollment(
    name: Name,
    uses: Annotated[int, typer.Option("--uses", min=1, max=100_000, help="Machines that may enrol with it.")] = 1,
    hours: Annotated[int, typer.Option("--hours", min=1, max=366 * 24, help="Hours until it expires.")] = 24,
    address: Annotated[list[str] | None, typer.Option("--from", help="Network it may be used from.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Tag for the machines.")] = None,
    team: Team = "",
    as_json: AsJson = False,
) -> None:
    """Make an enrolment token and print its secret, this once."""
    asked = {"name": name, "max_uses": uses, "expires_in": hours * 3600, "ranges": address or [], "tags": tag or []}
    with connect() as client:
        _tell(client.add_token("enrollment-tokens", {**asked, "team_id": team}), as_json=as_json)


@fleet.command("list")
def list_enrollment(as_json: AsJson = False, limit: Limit = 500) -> None:
    """List enrolment tokens, newest first."""
    with connect() as client:
        show(client.tokens("enrollment-tokens", limit), FLEET, as_json=as_json)


@fleet.command("revoke")
def revoke_enrollment(token_id: str) -> None:
    """End an enrolment token; machines that came with it stay."""
    with connect() as client:
        _ended(client.revoke_token("enrollment-tokens", token_id))


@own.command("add")
def add(
    name: Name,
    scope: Annotated[list[str] | None, typer.Option("--scope", help="read, patch, enrol or admin; repeatable.")] = None,
    agent: Annotated[str, typer.Option("--agent", help="Make it speak for this agent instead.")] = "",
    days: Days = 90,
    minutes: Annotated[int, typer.Option("--minutes", min=0, help="Minutes instead of days.")] = 0,
    person: Annotated[
        str, typer.Option("--as", help="E-mail of the person it acts for: straight in this machine's database.")
    ] = "",
    team: Team = "",
    as_json: AsJson = False,
) -> None:
    """Make a token and print its secret, this once; with --as before anybody has signed in."""
    lives = minutes * 60 or days * DAY
    asked = {"name": name, "expires_in": lives, "team_id": team, "scopes": scope or []}
    if person:
        from nanny_ops.cli import token_here  # a client's machine has no control plane to load

        _tell(token_here.add(person, asked), as_json=as_json)
        return
    with connect() as client:
        if agent:
            asked |= {"kind": "agent", "agent_id": find(client, agent)["agent_id"]}
        _tell(client.add_token("tokens", asked), as_json=as_json)


@own.command("list")
def list_own(as_json: AsJson = False, limit: Limit = 500) -> None:
    """List tokens, newest first."""
    with connect() as client:
        show(client.tokens("tokens", limit), OWN, as_json=as_json)


@own.command("revoke")
def revoke(token_id: str) -> None:
    """End a token at once."""
    with connect() as client:
        _ended(client.revoke_token("tokens", token_id))


def _tell(made: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_one(made, as_json=True)
        return
    typer.echo(made["token"])
    typer.echo(f"{made['id']} ({made['name']}) works until {made['expires_at']}; it is shown this once.", err=True)


def _ended(token: dict[str, Any]) -> None:
    typer.echo(f"{token['id']} ({token['name']}) is revoked.")
