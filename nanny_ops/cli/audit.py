"""``nanny-ops audit``: who did what, and whether the log still says what it said."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nanny_ops.cli.credential import connect
from nanny_ops.cli.table import AsJson, Column, Limit, moment, show
from nanny_ops.errors import SettingsError

app = typer.Typer(no_args_is_help=True, help="Who did what.")
COLUMNS: dict[str, Column] = {
    "nr": "seq",
    "when": ("at", moment),
    "who": "who",
    "from": "peer",
    "what": "action",
    "object": "object",
    "more": "more",
}
#: Exit code of a log that is not what it was.
BROKEN = 1


@app.command("list")
def list_entries(
    action: Annotated[str, typer.Option("--action", help="Only this, for instance patch.create.")] = "",
    actor: Annotated[str, typer.Option("--actor", help="Only what this id did.")] = "",
    thing: Annotated[str, typer.Option("--object", help="Only what was done to this id.")] = "",
    since: Annotated[str, typer.Option("--since", help="From this instant on, ISO 8601.")] = "",
    until: Annotated[str, typer.Option("--until", help="Before this instant.")] = "",
    as_json: AsJson = False,
    limit: Limit = 100,
) -> None:
    """List entries, newest first."""
    filters = {"action": action, "actor": actor, "object": thing, "since": since, "until": until}
    with connect() as client:
        found = client.audit(limit, **filters)
    rows = [{**entry, "who": _who(entry), "more": _more(entry["detail"])} for entry in found]
    show(found if as_json else rows, COLUMNS, as_json=as_json)


@app.command("export")
def export() -> None:
    """Print every entry with its hashes as a line of JSON, oldest first."""
    with connect() as client:
        for piece in client.audit_export():
            sys.stdout.buffer.write(piece)


@app.command("verify")
def verify(
    after: Annotated[int, typer.Option("--after", min=0, help="Take the log up to this number as it is.")] = 0,
    contains: Annotated[str, typer.Option("--contains", help="Hash, kept elsewhere, that must be in the log.")] = "",
) -> None:
    """Walk the chain straight in the database; name the first entry that is not what it was, and end with 1."""
    # Not at the top: a client's machine has no control plane to load.
    from nanny_ops.control.app import open_database
    from nanny_ops.control.settings import load
    from nanny_ops.control.store import audit as store

    settings = load(os.environ, {})
    _refuse_nothing(settings.data_dir, bool(settings.database_url.get_secret_value()))
    database = open_database(settings)
    try:
        if not database.read_now(store.is_there):
            raise SettingsError("This database has no audit log yet; type 'nanny-ops db upgrade'.")
        found = database.read_now(lambda tx: store.verify(tx, after))
        known = not contains or database.read_now(lambda tx: store.has_hash(tx, contains.strip().lower()))
    finally:
        database.close()
    if found.wrong:
        typer.echo(f"Entry {found.seq} {found.wrong}. The {found.rows} before it hold.")
        raise typer.Exit(BROKEN)
    if not known:
        typer.echo(f"The {found.rows} entries hold together, but none has the hash {contains}.")
        raise typer.Exit(BROKEN)
    typer.echo(f"{found.rows} entries hold; the last one's hash is {found.last}.")


def _who(entry: dict[str, Any]) -> str:
    who: str = entry["name"] or entry["actor"] or entry["kind"]
    return who


def _more(detail: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in detail.items() if value not in ("", None, []))


def _refuse_nothing(data_dir: Path, elsewhere: bool) -> None:
    if not elsewhere and not (data_dir / "nanny-ops.db").exists():
        raise SettingsError(f"There is no database in {data_dir}; see NANNY_DATA_DIR and NANNY_DATABASE_URL.")
