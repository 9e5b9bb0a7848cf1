"""``nanny-ops patch batch``: orders that were placed together, seen and cancelled together."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from nanny_ops.cli.client import Client
from nanny_ops.cli.credential import connect
from nanny_ops.cli.table import AsJson, Column, Limit, age, moment, printable, show, show_one
from nanny_ops.protocol.operation import GOOD, OPEN
from nanny_ops.protocol.patch_batch import BatchTarget, PatchBatch

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
#: Seconds between two looks.
INTERVAL = 2.0
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


def follow_batch(
    client: Client,
    batch: PatchBatch,
    *,
    as_json: bool,
    sleep: Callable[[float], None] = time.sleep,
    on_terminal: bool | None = None,
) -> None:
    """Show progress until all has ended: a bar on a terminal, else a line for each change; with JSON lines of JSON.

    The exit code is 1 where an order did not end well.
    """
    terminal = (sys.stderr.isatty() if on_terminal is None else on_terminal) and not as_json
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[told]}"),
        console=Console(file=sys.stderr, highlight=False, emoji=False),
        disable=not terminal,
    )
    told: dict[str, tuple[str, str]] = {}
    with bar:
        task = bar.add_task("patching", total=batch.placed, told="")
        while True:
            batch = client.batch(batch.id)
            for one in batch.targets:
                _tell(one, told, as_json=as_json, quiet=terminal)
            ended = sum(one.status not in OPEN for one in batch.targets)
            bar.update(task, completed=ended, told=came_to(batch.summary))
            if batch.state == "ended":
                break
            sleep(INTERVAL)
    if as_json:
        print(json.dumps({"batch": batch.id, "state": batch.state, "summary": batch.summary}), flush=True)
    else:
        show_batch(batch, as_json=False)
    if any(one.outcome not in set(GOOD) for one in batch.targets):
        raise typer.Exit(UNWELL)


def came_to(summary: dict[str, int]) -> str:
    """Write how many came to what."""
    return ", ".join(f"{number} {word}" for word, number in summary.items())


def _tell(one: BatchTarget, told: dict[str, tuple[str, str]], *, as_json: bool, quiet: bool) -> None:
    """Print a target that has changed since it was told last."""
    state = (one.outcome or one.status, one.reason)
    if told.get(one.operation_id) == state:
        return
    told[one.operation_id] = state
    if as_json:
        line: dict[str, Any] = asdict(one)
        print(json.dumps(line), flush=True)
    elif not quiet:
        words = [one.target, one.name, *state]
        print(printable(" ".join(word for word in words if word)), file=sys.stderr, flush=True)
