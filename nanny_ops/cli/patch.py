"""``nanny-ops patch``: order a dry run or an apply, follow it, read what came of it."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from nanny_ops.cli import agent as agents
from nanny_ops.cli import patch_batch, patch_run
from nanny_ops.cli.credential import connect
from nanny_ops.cli.patch_view import follow, kept, show_order
from nanny_ops.cli.table import AsJson, Column, Limit, age, printable, show, show_one
from nanny_ops.cli.watch import Watch

app = typer.Typer(no_args_is_help=True, help="Patch orders.")
app.command("run")(patch_run.run)
app.add_typer(patch_batch.app, name="batch")
COLUMNS: dict[str, Column] = {
    "order": "id",
    "mode": "mode",
    "where": "where",
    "state": "state",
    "pkgs": "package_count",
    "when": ("created_at", age),
}
Order = Annotated[str, typer.Argument(metavar="ORDER", help="The order's id.")]


@app.command("list")
def list_patches(
    agent: Annotated[str, typer.Option(help="Only this agent's: id or host name.")] = "",
    status: Annotated[str, typer.Option(help="Only with this status.")] = "",
    outcome: Annotated[str, typer.Option(help="Only with this outcome.")] = "",
    guest: Annotated[str, typer.Option("--guest", "--lxc", "--vmid", help="Only this container's.")] = "",
    mode: Annotated[str, typer.Option(help="Only dry-run, or only apply.")] = "",
    as_json: AsJson = False,
    limit: Limit = 50,
) -> None:
    """List orders, newest first."""
    with connect() as client:
        agent_id = agents.find(client, agent)["agent_id"] if agent else ""
        filters = {"agent_id": agent_id, "status": status, "outcome": outcome, "vmid": guest, "mode": mode}
        found = [asdict(operation) for operation in client.patches(limit, **filters)]
        hosts = {} if as_json or not found else {one["agent_id"]: one["hostname"] for one in client.agents(100_000)}
    for row in () if as_json else found:
        row["where"] = f"{row['target']} on {hosts.get(row['agent_id'], row['agent_id'])}"
        row["state"] = row["outcome"] or row["status"] + (", silent" if row["silent_since"] else "")
    show(found, COLUMNS, as_json=as_json)


@app.command("show")
def show_patch(
    order: Order,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one order and the packages it would change or has changed."""
    with connect() as client:
        operation = client.patch(order)
        if watch:
            follow(client, operation, as_json=as_json)
        else:
            show_order(operation, as_json=as_json)


@app.command("watch")
def watch_patch(
    order: Annotated[str, typer.Argument(metavar="ORDER", help="The id of an order, or of a batch.")],
    as_json: AsJson = False,
) -> None:
    """Follow an order, or all of a batch, to its end: what was printed so far, and then what comes."""
    with connect() as client:
        if order.startswith("batch-"):
            patch_batch.follow_batch(client, client.batch(order), as_json=as_json)
        else:
            follow(client, client.patch(order), as_json=as_json)


@app.command("cancel")
def cancel(order: Order, as_json: AsJson = False) -> None:
    """Take an order back; a script that runs already is ended by its agent."""
    with connect() as client:
        operation = client.cancel_patch(order)
    if as_json:
        show_one(asdict(operation), as_json=True)
    else:
        typer.echo(f"{operation.id} is {operation.status}.")
        if held := kept(operation):
            typer.echo(f"{operation.target}: {held}")


@app.command("release")
def release(order: Order, as_json: AsJson = False) -> None:
    """Give an ended order's target to others, where its agent cannot tell any more that the script is over.

    Nothing is ended on the target: make sure that no package manager runs there any more.
    """
    with connect() as client:
        operation = client.release_patch(order)
    if as_json:
        show_one(asdict(operation), as_json=True)
    else:
        typer.echo(f"{operation.id} keeps no target from other orders.")


@app.command("log")
def log(
    order: Order,
    stderr: Annotated[bool, typer.Option("--stderr", help="The error output instead.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until the order has ended.")] = False,
) -> None:
    """Print what the script printed; while it runs, what has come so far."""
    with connect() as client:
        if watch:
            Watch(client, _write, lambda _operation: None, "stderr" if stderr else "stdout").to_end(client.patch(order))
        else:
            _write(client.output(order, "stderr" if stderr else "stdout"))


def _write(data: bytes) -> None:
    if sys.stdout.isatty():
        sys.stdout.write(printable(data.decode("utf-8", "replace")))
    else:
        sys.stdout.buffer.write(data)
    sys.stdout.flush()
