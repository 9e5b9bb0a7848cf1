"""``nanny-ops upkeep``: how well hosts and guests are kept."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from nanny_ops.cli.credential import connect
from nanny_ops.cli.table import AsJson, Column, Limit, age, flag, show

app = typer.Typer(no_args_is_help=True, help="What waits for hosts and guests, and how old that knowledge is.")
COLUMNS: dict[str, Column] = {
    "target": "who",
    "node": "node",
    "state": "state",
    "pending": "pending",
    "security": "security",
    "left": "left",
    "restart": ("restart_required", flag),
    "system": "system",
    "fixes until": "until",
    "looked": ("looked_at", age),
    "why": "why",
}


@app.callback()
def upkeep() -> None:
    """Stand between the noun and its only verb, which Typer would leave out otherwise."""


@app.command("list")
def list_upkeep(
    state: Annotated[str, typer.Option(help="Only up_to_date, pending or unknown.")] = "",
    support: Annotated[str, typer.Option(help="Only where fixes are supported, ending, ended, rolling, unknown.")] = "",
    security: Annotated[bool, typer.Option("--security", help="Only where security fixes wait.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Only what must be restarted.")] = False,
    as_json: AsJson = False,
    limit: Limit = 1000,
) -> None:
    """List hosts and guests, those with most that waits first; what nobody has looked at is unknown."""
    filters = {"state": state, "support": support}
    filters |= {name: "true" for name, wanted in (("security", security), ("restart", restart)) if wanted}
    with connect() as client:
        found = client.upkeep(limit, **filters)
    show(found if as_json else [_row(one) for one in found], COLUMNS, as_json=as_json)


def waiting(kept: Mapping[str, Any] | None) -> str:
    """Write in one cell what waits for a guest: ``12 (3 security)``, ``none``, or ``?`` where nobody knows."""
    if not kept or kept["state"] == "unknown":
        return "?"
    security = f" ({kept['security']} security)" if kept["security"] else ""
    return f"{kept['pending']}{security}" if kept["state"] == "pending" else "none"


def _row(one: dict[str, Any]) -> dict[str, Any]:
    who = one["name"] if one["vmid"] is None else f"{one['vmid']} {one['name']}"
    until = one["supported_until"]
    unknown = {name: "?" for name in ("pending", "security") if one[name] is None}
    told = f"{until} (ended)" if one["support"] == "ended" else until or one["support"]
    return {**one, "who": who, "until": told, **unknown}
