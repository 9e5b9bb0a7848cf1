"""``nanny-ops user``: people's accounts, by the control plane where one is signed in, else straight in its database."""

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from nanny_ops.cli import credential
from nanny_ops.cli.client import Client
from nanny_ops.cli.table import AsJson, Column, Limit, show, show_one
from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol.user import Role, User

if TYPE_CHECKING:
    from nanny_ops.cli.local_user import LocalUsers

app = typer.Typer(no_args_is_help=True, add_completion=False, help="People who may sign in.")
COLUMNS: dict[str, Column] = {"email": "email", "role": "role", "disabled": "disabled"}
ROLES = get_args(Role)
Email = Annotated[str, typer.Option("--email", help="E-mail address, which is the name to sign in with.")]
Name = Annotated[str, typer.Option("--name", help="How the person is called.")]
Team = Annotated[str, typer.Option("--team", help="Id of the team in which the role counts.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
]
BothFromStdin = Annotated[
    bool,
    typer.Option(
        "--password-stdin",
        help="Read the new password from the first line of standard input; one's own: the present one from the first, "
        "the new one from the second.",
    ),
]
Local = Annotated[bool, typer.Option("--local", help="In the database of this machine, although one is signed in.")]


@app.command("add")
def add(
    email: Email,
    role: Annotated[str, typer.Option("--role", help="viewer, operator, or admin: of all unless a team is named.")],
    name: Name = "",
    team: Team = "",
    password_stdin: FromStdin = False,
    local: Local = False,
) -> None:
    """Make an account; without --password-stdin the password is asked for twice."""
    _demand_role(role)  # before anybody types a password
    password = _password(from_stdin=password_stdin)
    with accounts(local=local) as calls:
        made = calls.add_user({"email": email, "role": role, "password": password, "name": name, "team_id": team})
    typer.echo(f"{made.email} may sign in as {role}.")


@app.command("list")
def list_users(as_json: AsJson = False, limit: Limit = 1000, local: Local = False) -> None:
    """List accounts by address."""
    with accounts(local=local) as calls:
        found = calls.users(limit)
    show([asdict(one) if as_json else _row(one) for one in found], COLUMNS, as_json=as_json)


@app.command("show")
def show_user(email: Email, as_json: AsJson = False, local: Local = False) -> None:
    """Show one account."""
    with accounts(local=local) as calls:
        found = calls.user(email)
    show_one(asdict(found) if as_json else _row(found), as_json=as_json)


@app.command("change")
def change(
    email: Email,
    role: Annotated[
        str, typer.Option("--role", help="viewer, operator, or admin: of all unless a team is named.")
    ] = "",
    name: Name = "",
    team: Team = "",
    local: Local = False,
) -> None:
    """Give an account another role or name."""
    if role:
        _demand_role(role)
    wanted = {"role": role or None, "team_id": team, "name": name or None}
    typer.echo(_summary(_changed(email, wanted, local=local)))


@app.command("disable")
def disable(email: Email, local: Local = False) -> None:
    """Close an account; a running control plane notices within seconds."""
    typer.echo(f"{_changed(email, {'disabled': True}, local=local).email} may no longer sign in.")


@app.command("enable")
def enable(email: Email, local: Local = False) -> None:
    """Open a closed account again."""
    typer.echo(f"{_changed(email, {'disabled': False}, local=local).email} may sign in again.")


@app.command("password")
def password(email: Email, password_stdin: BothFromStdin = False, local: Local = False) -> None:
    """Give an account another password, one's own for the present one; who was signed in must sign in again."""
    with accounts(local=local) as calls:
        user_id, own = calls.whose(email)
        current = _current(from_stdin=password_stdin) if own else ""
        changed = calls.set_password(user_id, _password(from_stdin=password_stdin), current)
    typer.echo(f"{email} has {'a new' if changed else 'this'} password{'' if changed else ' already'}.")


@app.command("remove")
def remove(email: Email, local: Local = False) -> None:
    """Remove an account with its tokens of automation; the audit keeps what it did."""
    with accounts(local=local) as calls:
        removed = calls.remove_user(calls.user(email).id)
    typer.echo(f"{removed.email} is removed.")


def accounts(*, local: bool) -> "Client | LocalUsers":
    """Return the control plane that is named or signed in to, else the database on this machine."""
    named = os.environ.get("NANNY_URL") or os.environ.get("NANNY_TOKEN")
    if local or not (named or credential.file(os.environ).exists()):
        from nanny_ops.cli.local_user import LocalUsers  # a client's machine has no control plane to load

        return LocalUsers()
    return credential.connect()


def _changed(email: str, wanted: Mapping[str, Any], *, local: bool) -> User:
    with accounts(local=local) as calls:
        return calls.change_user(calls.user(email).id, wanted)


def _demand_role(role: str) -> None:
    if role not in ROLES:
        raise ValidationFailed(f"'{role}' is not a role; choose one of {', '.join(ROLES)}.")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    password: str = typer.prompt("Password", hide_input=True)
    if typer.prompt("Once more", hide_input=True) != password:
        raise ValidationFailed("The two passwords differ.")
    return password


def _current(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    current: str = typer.prompt("Present password", hide_input=True)
    return current


def _row(user: User) -> dict[str, Any]:
    role = "admin" if user.is_admin else ", ".join(f"{role} in {team}" for team, role in sorted(user.roles.items()))
    return {**asdict(user), "role": role}


def _summary(user: User) -> str:
    row = _row(user)
    return f"{user.email} ({user.name}) is {row['role']}{', and may not sign in' if user.disabled else ''}."
