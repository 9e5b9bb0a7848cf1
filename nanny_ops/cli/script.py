"""``nanny-ops script``: what patch orders run."""

import hashlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nanny_ops.cli import offline_key
from nanny_ops.cli.credential import connect
from nanny_ops.cli.signing_key import passphrase
from nanny_ops.cli.table import AsJson, Column, Limit, age, show, show_one
from nanny_ops.errors import Conflict, SettingsError
from nanny_ops.protocol.signature import script_message

app = typer.Typer(no_args_is_help=True, help="Patch scripts.")
COLUMNS: dict[str, Column] = {
    "script": "id",
    "shipped": "shipped",
    "added": ("created_at", age),
    "about": "description",
}


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
        raise SettingsError(
            f"{path} cannot be read as text: {getattr(wrong, 'strerror', None) or 'it is not UTF-8'}."
        ) from wrong
    with connect() as client:
        added = client.add_script(name or path.stem.lower(), content, description)
    if as_json:
        show_one(asdict(added), as_json=True)
    else:
        typer.echo(added.id)


@app.command("keygen")
def keygen(
    out: Annotated[Path, typer.Option("--out", help="File of the private key; the public one gets '.pub' behind it.")],
) -> None:
    """Make a key that signs scripts, and print its name and its public half."""
    key = offline_key.make(out)
    typer.echo(f"{key.key_id} {key.public_key}")


@app.command("sign")
def sign(
    script_id: str,
    key: Annotated[Path, typer.Option("--key", help="The private key: PEM, or 32 raw bytes.")],
    same_as: Annotated[Path | None, typer.Option(help="Sign only if the script is this file, byte by byte.")] = None,
) -> None:
    """Sign a script on this machine; only the signature is sent."""
    private = offline_key.load(key, passphrase)
    with connect() as client:
        content = client.script_content(script_id)
        if same_as is not None and content != _bytes(same_as):
            raise Conflict(f"The control plane's script {script_id} is not {same_as}; it was not signed.")
        message = script_message(script_id, hashlib.sha256(content).hexdigest())
        names = client.sign_script(script_id, private.key_id, private.sign(message))
    typer.echo(f"{script_id} is signed by {', '.join(names)}.")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as wrong:
        raise SettingsError(f"{path} cannot be read: {wrong.strerror}.") from wrong


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
