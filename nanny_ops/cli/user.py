"""People's accounts, straight in the database: also before the first ``serve``."""

import os
import sys
from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from nanny_ops.cli.table import AsJson, Column, show
from nanny_ops.control.app import open_database, prepare
from nanny_ops.control.services import user as service
from nanny_ops.control.settings import load
from nanny_ops.control.store import user as store
from nanny_ops.control.store.caller import CALLER, Caller
from nanny_ops.control.store.database import Tx
from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol.clock import now

app = typer.Typer(no_args_is_help=True, add_completion=False, help="People who may sign in.")
COLUMNS: dict[str, Column] = {"email": "email", "admin": "admin", "disabled": "disabled"}
T = TypeVar("T")
Email = Annotated[str, typer.Option("--email", help="E-mail address, which is the name to sign in with.")]


@app.command("add")
def add(
    email: Email,
    role: Annotated[str, typer.Option("--role", help="viewer, operator or admin (of the whole installation).")],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
    ] = False,
) -> None:
    """Make an account; without --password-stdin the password is asked for twice."""
    if role not in service.ROLES:  # before anybody types a password
        raise ValidationFailed(f"'{role}' is not a role; choose one of {', '.join(service.ROLES)}.")
    password = sys.stdin.readline().rstrip("\n") if password_stdin else _ask()
    hashed = service.hash_password(password)
    made = in_store(lambda tx: service.add(tx, email, role, hashed, now()))
    typer.echo(f"{made.email} may sign in as {role}.")


@app.command("list")
def list_users(as_json: AsJson = False) -> None:
    """List all accounts, oldest first."""
    rows = [
        {"id": one.id, "email": one.email, "admin": one.is_admin, "disabled": one.disabled}
        for one in in_store(store.every)
    ]
    show(rows, COLUMNS, as_json=as_json)


@app.command("disable")
def disable(email: Email) -> None:
    """Close an account; a running control plane notices within seconds."""
    closed = in_store(lambda tx: service.disable(tx, email, now()))
    typer.echo(f"{closed.email} may no longer sign in.")


def in_store(run: Callable[[Tx], T]) -> T:
    """Run a function in the store that the environment names, migrated first."""
    database = open_database(load(os.environ, {}))
    typist = CALLER.set(Caller("local", f"uid-{os.getuid()}", os.environ.get("SUDO_USER", "")))
    try:
        prepare(database)
        return database.write_now(run)
    finally:
        CALLER.reset(typist)
        database.close()


def _ask() -> str:
    password: str = typer.prompt("Password", hide_input=True)
    if typer.prompt("Once more", hide_input=True) != password:
        raise ValidationFailed("The two passwords differ.")
    return password
