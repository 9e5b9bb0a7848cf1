"""``nanny-ops release``: versions of the agent that agents may be told to install."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nanny_ops.cli import offline_key
from nanny_ops.cli.credential import connect
from nanny_ops.cli.signing_key import passphrase
from nanny_ops.cli.table import AsJson, Column, Limit, age, show, show_one
from nanny_ops.errors import Conflict, SettingsError
from nanny_ops.protocol.signature import release_message

app = typer.Typer(no_args_is_help=True, help="Releases of the agent.")
COLUMNS: dict[str, Column] = {
    "release": "id",
    "version": "version",
    "bytes": "size",
    "added": ("created_at", age),
}


@app.command("add")
def add(path: Annotated[Path, typer.Argument(help="The archive.")], as_json: AsJson = False) -> None:
    """Add a release; the id that is printed names this very archive for ever."""
    with connect() as client:
        try:
            added = client.add_release(path)
        except OSError as wrong:
            raise SettingsError(f"{path} cannot be read: {wrong.strerror}.") from wrong
    if as_json:
        show_one(asdict(added), as_json=True)
    else:
        typer.echo(added.id)


@app.command("list")
def list_releases(as_json: AsJson = False, limit: Limit = 100) -> None:
    """List releases, newest first."""
    with connect() as client:
        show([asdict(one) for one in client.releases(limit)], COLUMNS, as_json=as_json)


@app.command("show")
def show_release(release_id: str, as_json: AsJson = False) -> None:
    """Show one release."""
    with connect() as client:
        show_one(asdict(client.release(release_id)), as_json=as_json)


@app.command("sign")
def sign(
    release_id: str,
    key: Annotated[Path, typer.Option("--key", help="The private key: PEM, or 32 raw bytes.")],
    archive: Annotated[Path, typer.Option(help="The archive as you have it: it is signed only if it is this one.")],
) -> None:
    """Sign a release on this machine; only the signature is sent."""
    private = offline_key.load(key, passphrase)
    with connect() as client:
        release = client.release(release_id)
        if _digest(archive) != release.sha256:
            raise Conflict(f"The control plane's release {release_id} is not {archive}; it was not signed.")
        message = release_message(release_id, release.sha256)
        names = client.sign_release(release_id, private.key_id, private.sign(message))
    typer.echo(f"{release_id} is signed by {', '.join(names)}.")


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as wrong:
        raise SettingsError(f"{path} cannot be read: {wrong.strerror}.") from wrong
