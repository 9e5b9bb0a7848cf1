"""``nanny-ops login``: sign in and remember it on this machine."""

import os
import sys
from typing import Annotated

import typer

from nanny_ops.cli import credential
from nanny_ops.cli.client import Client

app = typer.Typer()


@app.command()
def login(
    url: Annotated[str, typer.Option(help="Address of the control plane; by default NANNY_URL.")] = "",
    email: Annotated[str, typer.Option(help="E-mail address to sign in with; asked for if left out.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
    ] = False,
) -> None:
    """Sign in; the token is kept in a file that only you may read, and lives an hour."""
    address = url or os.environ.get("NANNY_URL", "") or credential.DEFAULT_URL
    with Client(address) as client:
        email = email or typer.prompt("E-mail")
        password = sys.stdin.readline().rstrip("\n") if password_stdin else typer.prompt("Password", hide_input=True)
        token = client.login(email, password)
    path = credential.store(os.environ, credential.Credential(address, token))
    typer.echo(f"Signed in to {address} as {email}; the token is in {path}.")
