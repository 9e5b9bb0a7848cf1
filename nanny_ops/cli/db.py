"""The database's own commands."""

import os

import typer

from nanny_ops.control.app import open_database, prepare
from nanny_ops.control.settings import load
from nanny_ops.control.store import schema

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The control plane's database.")


@app.callback()
def database() -> None:
    """Look after the control plane's database."""


@app.command("upgrade")
def upgrade() -> None:
    """Bring the database to this release's revision; safe to repeat."""
    opened = open_database(load(os.environ, {}))
    try:
        before = schema.current(opened)
        prepare(opened)
        after = schema.current(opened)
    finally:
        opened.close()
    typer.echo(
        f"The database is at revision {after}." if before == after else f"Upgraded from {before or 'empty'} to {after}."
    )
