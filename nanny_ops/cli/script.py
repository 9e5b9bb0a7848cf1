"""``nanny-ops script``: what patch orders run."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nanny_ops.cli.credential import connect
from nanny_ops.cli.table import AsJson, Limit, show, show_one
from nanny_ops.errors import SettingsError

app = typer.Typer(no_args_is_help=True, help="Patch scripts.")
COLUMNS = {"script": "id", "shipped": "shipped", "added": "created_at", "sha256": "sha256", "about": "description"}


@app.command("add")
def add(
    path: Annotated[Path, typer.Argument(help="The file; its first line names its interpreter.")],
    name: Annotated[str, typer.Option(help="Its name; by default the file's, without what follows the dot.")] = "",
    description: Annotated[str, typer.Option(help="One sentence about it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Add a script; the id that is printed names this very content for ever."""
    try:
        content = path.read_text()
    except (OSError, UnicodeDecodeError) as wrong:
        raise SettingsError(f"{path} cannot be read as text: {wrong}.") from wrong
    with connect() as client:
        added = client.add_script(name or path.stem.lower(), content, description)
    if as_json:
        show_one(asdict(added), as_json=True)
    else:
        typer.echo(added.id)


@app.command("list")
def list_scripts(as_json: AsJson = False, limit: Limit = 500) -> None:
    """List scripts, newest first."""
    with connect() as client:
        show([asdict(script) for script in client.scripts(limit)], COLUMNS, as_json=as_json)


@app.command("show")
def show_script(
    script_id: str,
    content: Annotated[bool, typer.Option("--content", help="Print the script itself, byte by byte.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one script."""
    with connect() as client:
        if content:
            sys.stdout.buffer.write(client.script_content(script_id))
        else:
            show_one(asdict(client.script(script_id)), as_json=as_json)
