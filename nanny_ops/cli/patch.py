"""``nanny-ops patch``: order a dry run or an apply, follow it, read what came of it."""

import sys
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from nanny_ops.cli import agent as agents
from nanny_ops.cli import proxmox
from nanny_ops.cli.client import Client
from nanny_ops.cli.credential import connect
from nanny_ops.cli.table import AsJson, Column, Limit, age, moment, printable, show, show_one
from nanny_ops.cli.watch import Watch
from nanny_ops.errors import SettingsError
from nanny_ops.protocol.clock import now, parse_stamp
from nanny_ops.protocol.operation import GOOD
from nanny_ops.protocol.patch import DEFAULT_TIMEOUT, PatchOperation

app = typer.Typer(no_args_is_help=True, help="Patch orders.")
COLUMNS: dict[str, Column] = {
    "order": "id",
    "mode": "mode",
    "where": "where",
    "state": "state",
    "pkgs": "package_count",
    "when": ("created_at", age),
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
        if kept := _kept(operation):
            typer.echo(f"{operation.target}: {kept}")


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

    def tell(seen: PatchOperation) -> None:
        words = [seen.id, seen.mode, seen.target, seen.status, seen.outcome or "", printable(seen.reason)]
        print(" ".join(word for word in words if word), file=sys.stderr, flush=True)

    def idle(seen: PatchOperation) -> None:
        agent = client.agent(seen.agent_id)
        print(printable(_why_idle(seen, agent)), file=sys.stderr, flush=True)

    ended = Watch(client, _progress, tell, idle=idle).to_end(operation)
    _show(ended, as_json=as_json)
    if ended.outcome not in set(GOOD):
        raise typer.Exit(1)


def _show(operation: PatchOperation, *, as_json: bool) -> None:
    if as_json:
        show_one(asdict(operation), as_json=True)
        return
    packages = [asdict(package) for package in operation.package_list or []]
    show_one(_summary(operation), as_json=False)
    if packages:
        title = "Packages changed" if operation.mode == "apply" else "Packages that would change"
        print()
        show(packages, PACKAGES, as_json=False, title=title)


def _summary(operation: PatchOperation) -> dict[str, Any]:
    """Return what a person wants to know of an order; --json has the rest."""
    container = operation.target.removeprefix("lxc:")
    place = "the host itself" if container == operation.target else f"container {container}"
    ended = operation.finished_at is not None
    return {
        "order": operation.id,
        "what": "apply" if operation.mode == "apply" else "dry run, changes nothing",
        "where": f"{place}, by {operation.agent_id}",
        "only": operation.only,
        "without": operation.exclude,
        "limited to": "security updates" if operation.security_only else None,
        "status": operation.status,
        "silent": _silence(operation),
        "outcome": operation.outcome,
        "reason": operation.reason,
        "target": _kept(operation),
        "exit code": operation.exit_code or None,
        "took": None if operation.duration is None else f"{operation.duration / 1000:.1f} s",
        "packages": operation.package_count,
        "ordered": f"{moment(operation.created_at)} UTC",
        "ended": f"{moment(operation.finished_at)} UTC" if ended else None,
        "lapses": f"{moment(operation.expires_at)} UTC" if operation.status in {"pending", "delivered"} else None,
    }


def _silence(operation: PatchOperation) -> str | None:
    if operation.silent_since is None:
        return None
    return f"nothing was heard of its agent since {moment(operation.silent_since)} UTC; the script may run on"


def _kept(operation: PatchOperation) -> str | None:
    """Say that an ended order keeps its target from others, until when, and what a person can do."""
    held = operation.holds_until
    if operation.finished_at is None or held is None or parse_stamp(held) <= now():
        return None
    return (
        f"kept from other orders until its agent tells that the script is over, or {moment(held)} UTC; "
        f"if nothing runs there any more, 'nanny-ops patch release {operation.id}' gives it free"
    )


def _why_idle(operation: PatchOperation, agent: Mapping[str, Any]) -> str:
    """Say that the agent has not fetched an order, how the agent is, and what a person can do."""
    seen = f"last seen {age(agent['last_seen'])}" if agent["last_seen"] else "never seen"
    return (
        f"Waiting: agent {agent['hostname']} has not fetched this order yet ({agents.state(agent)}, {seen}); "
        f"is 'nanny-agent run' running there? It may begin until {moment(operation.expires_at)} UTC. "
        f"Ctrl-C ends the waiting only; 'nanny-ops patch cancel {operation.id}' takes the order back."
    )


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
