"""``nanny-ops event``: what has happened in the fleet."""

from typing import Annotated, Any

import typer

from nanny_ops.cli.credential import connect
from nanny_ops.cli.following import Every, Watched
from nanny_ops.cli.table import AsJson, Column, Limit, moment, show
from nanny_ops.cli.tail import tail
from nanny_ops.cli.unit import size

app = typer.Typer(no_args_is_help=True, help="What has happened in the fleet.")
#: Events that one look at what has come meanwhile may find.
MOST = 10_000
COLUMNS: dict[str, Column] = {
    "when (UTC)": ("at", moment),
    "what": "kind",
    "object": "object",
    "name": "name",
    "node": "node",
    "cluster": "cluster_name",
    "more": "more",
}


@app.command("list")
def list_events(
    kind: Annotated[str, typer.Option(help="Only guest.started, or guest for all of guests, node, quorum ...")] = "",
    about: Annotated[str, typer.Option(help="Only about this object: lxc/101, node/pve1 ...")] = "",
    as_json: AsJson = False,
    limit: Limit = 50,
    watch: Watched = False,
    every: Every = 5.0,
) -> None:
    """List what has happened, oldest first; with --watch, and whatever happens from now on."""
    with connect() as client:

        def look(after: int) -> list[dict[str, Any]]:
            return client.fleet_events(MOST if after else limit, kind=kind, about=about, after=str(after))

        def draw(rows: list[dict[str, Any]]) -> None:
            show([{**row, "more": more(row["detail"])} for row in rows], COLUMNS, as_json=as_json)

        if watch:
            tail(look, draw, every)
        else:
            draw(look(0)[::-1])


@app.callback()
def callback() -> None:
    """Keep ``list`` a command of its own: typer makes a program's only command the program."""


def more(detail: dict[str, Any]) -> str:
    """Write what an event tells beside its object: ``from pve1 to pve2``, ``memory_mb 512 to 1024``."""
    if detail.keys() == {"from", "to"}:
        return f"from {detail['from']} to {detail['to']}"
    words = []
    for key, value in detail.items():
        change = isinstance(value, dict) and value.keys() == {"from", "to"}
        told = size(value) if key in {"used", "total"} else value
        words.append(f"{key} {value['from']} to {value['to']}" if change else f"{key} {told}")
    return ", ".join(words)
