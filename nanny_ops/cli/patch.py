"""``nanny-ops patch``: order a dry run or an apply, follow it, read what came of it."""

import sys
import uuid
from dataclasses import asdict
from typing import Annotated, Any

import typer

from nanny_ops.cli import agent as agents
from nanny_ops.cli import proxmox
from nanny_ops.cli.client import Client
from nanny_ops.cli.credential import connect
from nanny_ops.cli.table import AsJson, Limit, printable, show, show_one
from nanny_ops.cli.watch import Watch
from nanny_ops.errors import SettingsError
from nanny_ops.protocol.operation import GOOD
from nanny_ops.protocol.patch import DEFAULT_TIMEOUT, PatchOperation

app = typer.Typer(no_args_is_help=True, help="Patch orders.")
COLUMNS = {
    "order": "id",
    "mode": "mode",
    "target": "target",
    "status": "status",
    "outcome": "outcome",
    "packages": "package_count",
    "ordered": "created_at",
    "agent": "agent_id",
}
PACKAGES = {"package": "name", "from": "old_version", "to": "version", "action": "action", "security": "security"}
Names = Annotated[list[str] | None, typer.Option(help="Package names; may be repeated, or separated by commas.")]
Order = Annotated[str, typer.Argument(metavar="ORDER", help="The order's id.")]


@app.command("run")
def run(
    agent: Annotated[str, typer.Option(help="The agent's id or host name; may be left out with --guest.")] = "",
    guest: Annotated[str, typer.Option("--guest", "--lxc", "--vmid", help="A container: its number or name.")] = "",
    apply: Annotated[bool, typer.Option("--apply/--dry-run", help="Change the target, or only look.")] = False,
    exclude: Names = None,
    only: Names = None,
    security_only: Annotated[bool, typer.Option("--security-only", help="Only security updates.")] = False,
    script: Annotated[str, typer.Option(help="A script's id; by default the shipped one for the target.")] = "",
    script_args: Annotated[str, typer.Option(help="Further arguments for the script.")] = "",
    timeout: Annotated[int, typer.Option(min=1, help="Seconds the script may run.")] = DEFAULT_TIMEOUT,
    expires_at: Annotated[str, typer.Option(help="When an order that has not begun lapses (UTC, ISO 8601).")] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Order a dry run (unless --apply) on a host or in one of its containers."""
    with connect() as client:
        agent_id, vmid = _aim(client, agent, guest)
        asked: dict[str, Any] = {
            "agent_id": agent_id,
            "mode": "apply" if apply else "dry-run",
            "vmid": vmid,
            "exclude": _split(exclude),
            "only": _split(only),
            "security_only": security_only,
            "script_id": script,
            "script_args": script_args,
            "timeout_seconds": timeout,
            "expires_at": expires_at,
        }
        operation = client.place_patch(asked, key=str(uuid.uuid4()))
        if watch:
            _follow(client, operation, as_json=as_json)
        elif as_json:
            show_one(asdict(operation), as_json=True)
        else:
            typer.echo(operation.id)


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
        show([asdict(found) for found in client.patches(limit, **filters)], COLUMNS, as_json=as_json)


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
            _follow(client, operation, as_json=as_json)
        else:
            _show(operation, as_json=as_json)


@app.command("cancel")
def cancel(order: Order, as_json: AsJson = False) -> None:
    """Take an order back; a script that runs already is ended by its agent."""
    with connect() as client:
        operation = client.cancel_patch(order)
    if as_json:
        show_one(asdict(operation), as_json=True)
    else:
        typer.echo(f"{operation.id} is {operation.status}.")


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


def _aim(client: Client, agent: str, guest: str) -> tuple[str, str]:
    """Return the agent and the number of the guest; who reported a guest can also reach it."""
    if agent:
        return agents.find(client, agent)["agent_id"], guest
    if not guest:
        raise SettingsError("Give --agent to patch a host, or --guest to patch a container.")
    found = proxmox.pick(client.inventory("guests", 100_000), guest, proxmox.GUEST_NAMES, "guest")
    return found["agent_id"], str(found["vmid"])


def _follow(client: Client, operation: PatchOperation, *, as_json: bool) -> None:
    """Show progress on stderr and the end on stdout; the exit code is 1 when it did not end well."""

    def tell(now: PatchOperation) -> None:
        words = [now.id, now.mode, now.target, now.status, now.outcome or "", printable(now.reason)]
        print(" ".join(word for word in words if word), file=sys.stderr, flush=True)

    ended = Watch(client, _progress, tell).to_end(operation)
    _show(ended, as_json=as_json)
    if ended.outcome not in set(GOOD):
        raise typer.Exit(1)


def _show(operation: PatchOperation, *, as_json: bool) -> None:
    if as_json:
        show_one(asdict(operation), as_json=True)
        return
    row = asdict(operation)
    packages = row.pop("package_list") or []
    show_one(row, as_json=False)
    if packages:
        title = "Packages changed" if operation.mode == "apply" else "Packages that would change"
        print()
        show(packages, PACKAGES, as_json=False, title=title)


def _split(names: list[str] | None) -> list[str]:
    return [word for name in names or [] for word in name.split(",") if word]


def _write(data: bytes) -> None:
    if sys.stdout.isatty():
        sys.stdout.write(printable(data.decode("utf-8", "replace")))
    else:
        sys.stdout.buffer.write(data)
    sys.stdout.flush()


def _progress(data: bytes) -> None:
    sys.stderr.write(printable(data.decode("utf-8", "replace")))
    sys.stderr.flush()
