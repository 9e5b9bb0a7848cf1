"""The database's own commands."""

import os
from pathlib import Path
from typing import Annotated

import typer

from nanny_ops.cli import backup as copies
from nanny_ops.control.app import open_database, prepare
from nanny_ops.control.settings import load
from nanny_ops.control.store import schema
from nanny_ops.protocol.clock import now

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


@app.command("backup")
def backup() -> None:
    """Write a backup of all that is kept into backup_dir, also while the control plane runs; old ones go."""
    made, gone = copies.make(load(os.environ, {}), now())
    typer.echo(f"{made} ({made.stat().st_size} bytes)" + (f"; {len(gone)} old ones went" if gone else ""))


@app.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(help="A backup that 'db backup' has written.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Put a backup in the place of database, keys and outputs; stop the control plane first."""
    told = copies.restore(load(os.environ, {}), file, force=force)
    typer.echo(f"What was kept on {told.made_at} by release {told.version} is here again.")
