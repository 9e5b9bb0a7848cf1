"""``nanny-ops patch batch``: orders that were placed together, seen and cancelled together."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from nanny_ops.cli.client import Client
from nanny_ops.cli.credential import connect
from nanny_ops.cli.live import Followed, Live, follow
from nanny_ops.cli.meter import Meter, planned
from nanny_ops.cli.table import AsJson, Column, Limit, age, moment, show, show_one
from nanny_ops.protocol.operation import GOOD
from nanny_ops.protocol.patch_batch import PatchBatch
from nanny_ops.protocol.watch import END

app = typer.Typer(no_args_is_help=True, help="Orders that were placed together.")
COLUMNS: dict[str, Column] = {
    "batch": "id",
    "mode": "mode",
    "state": "state",
    "orders": "placed",
    "left out": "left_out",
    "came to": "came_to",
    "when": ("created_at", age),
}
TARGETS = {
    "order": "operation_id",
    "target": "target",
    "name": "name",
    "node": "node",
    "state": "state",
    "pkgs": "package_count",
    "reason": "reason",
}
SKIPPED = {"target": "target", "name": "name", "node": "node", "why": "why", "reason": "reason"}
#: Exit codes: an order did not end well; nothing fits.
UNWELL, EMPTY = 1, 4
Key = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id.")]


@app.command("list")
def list_batches(as_json: AsJson = False, limit: Limit = 50) -> None:
    """List batches, newest first."""
    with connect() as client:
        found = [asdict(batch) for batch in client.batches(limit)]
    for row in () if as_json else found:
        row["mode"], row["came_to"] = row["order"]["mode"], came_to(row["summary"])
    show(found, COLUMNS, as_json=as_json)


@app.command("show")
def show_one_batch(
    batch: Key,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a batch: how each order stands, what was left out and why."""
    with connect() as client:
        found = client.batch(batch)
        if watch:
            follow_batch(client, found, as_json=as_json)
            return
    show_batch(found, as_json=as_json)


@app.command("cancel")
def cancel(batch: Key, as_json: AsJson = False) -> None:
    """Take back every order that has not ended; what runs is ended by its agents."""
    with connect() as client:
        found = client.cancel_batch(batch)
    if as_json:
        show_one(asdict(found), as_json=True)
    else:
        typer.echo(f"{found.id} is {found.state}: {came_to(found.summary)}.")


def show_batch(batch: PatchBatch, *, as_json: bool) -> None:
    """Print a batch or a preview."""
    if as_json:
        show_one(asdict(batch), as_json=True)
        return
    show_one(
        {
            "batch": batch.id or "none: this is a preview",
            "what": "apply" if batch.order.mode == "apply" else "dry run, changes nothing",
            "state": None if batch.dry else batch.state,
            "orders": batch.placed,
            "left out": batch.left_out,
            "came to": came_to(batch.summary),
            "waiting": batch.waiting,
            "ordered": f"{moment(batch.created_at)} UTC",
        },
        as_json=False,
    )
    if batch.targets:
        print()
        rows = [{**asdict(one), "state": one.outcome or one.status} for one in batch.targets]
        columns: dict[str, Column] = {key: name for key, name in TARGETS.items() if any(row[name] for row in rows)}
        show(rows, columns, as_json=False, title="Targets" if batch.dry else "Orders")
    if batch.skipped:
        print()
        show([asdict(one) for one in batch.skipped], dict(SKIPPED), as_json=False, title="Left out")


def follow_batch(client: Client, batch: PatchBatch, *, as_json: bool) -> None:
    """Show all orders live until each has ended; with ``as_json`` a line of JSON for each event.

    The exit code is 1 where an order did not end well.
    """
    orders = {
        one.operation_id: Followed(" ".join(filter(None, (one.target, one.name))), Meter(planned(batch.order)))
        for one in batch.targets
    }
    live = Live(orders, as_json=as_json)
    again, cancel = f"nanny-ops patch watch {batch.id}", f"nanny-ops patch batch cancel {batch.id}"
    follow(client, "patch-batches", batch.id, live, again=again, cancel=cancel)
    ended = client.batch(batch.id)
    if as_json:
        told = {"event": END, "id": ended.id, "state": ended.state, "summary": ended.summary}
        print(json.dumps({**told, "batch": asdict(ended)}), flush=True)
    else:
        show_batch(ended, as_json=False)
    if any(one.outcome not in set(GOOD) for one in ended.targets):
        raise typer.Exit(UNWELL)


def came_to(summary: dict[str, int]) -> str:
    """Write how many came to what."""
    return ", ".join(f"{number} {word}" for word, number in summary.items())
