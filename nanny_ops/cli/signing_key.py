"""``nanny-ops signing-key``: whose signatures of scripts count."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nanny_ops.cli import offline_key
from nanny_ops.cli.credential import connect
from nanny_ops.cli.table import AsJson, Column, age, show, show_one
from nanny_ops.errors import NotFound
from nanny_ops.protocol.signature import KEY_SIZE, decode, key_message

app = typer.Typer(no_args_is_help=True, help="Keys that sign scripts.")
COLUMNS: dict[str, Column] = {
    "key": "key_id",
    "origin": "origin",
    "name": "name",
    "added": ("added_at", age),
    "retired": ("retired_at", age),
}
KeyName = Annotated[str, typer.Argument(help="The key's name, as in the list.")]


def passphrase() -> str:
    """Ask the person for the pass phrase of a locked key."""
    answer: str = typer.prompt("Pass phrase", hide_input=True, err=True)
    return answer


@app.command("add")
def add(
    public_key: Annotated[str, typer.Argument(help="The public half: base64, or a file with base64 or PEM.")],
    name: Annotated[str, typer.Option(help="What people call it.")],
    team: Annotated[str, typer.Option(help="Id of the team; by default the first in which you are admin.")] = "",
    as_json: AsJson = False,
) -> None:
    """Enter a public key; the private half stays where it is."""
    text = offline_key.read_public(public_key)
    with connect() as client:
        added = client.add_signing_key(text, name, team)
    if as_json:
        show_one(asdict(added), as_json=True)
    else:
        typer.echo(added.key_id)


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List keys, oldest first, retired ones too."""
    with connect() as client:
        show([asdict(key) for key in client.signing_keys()], COLUMNS, as_json=as_json)


@app.command("retire")
def retire(key: KeyName) -> None:
    """End the trust in a key for ever."""
    with connect() as client:
        typer.echo(f"{client.retire_signing_key(key).key_id} is retired.")


@app.command("endorse")
def endorse(
    key: KeyName,
    by: Annotated[Path, typer.Option("--key", help="The private key that agents trust already.")],
) -> None:
    """Let a key that agents trust vouch for a new one, so that they accept it without being enrolled again."""
    private = offline_key.load(by, passphrase)
    with connect() as client:
        found = next((one for one in client.signing_keys() if one.key_id == key), None)
        if found is None:
            raise NotFound(f"There is no signing key '{key}'; 'nanny-ops signing-key list' shows all.")
        message = key_message(decode(found.public_key, KEY_SIZE, "public_key"), found.origin)
        client.endorse_signing_key(key, private.key_id, private.sign(message))
    typer.echo(f"{private.key_id} vouches for {key}.")
