"""One patch order on the terminal: followed to its end, and told in a few lines."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import typer

from nanny_ops.cli import agent as agents
from nanny_ops.cli.client import Client
from nanny_ops.cli.live import Followed, Live
from nanny_ops.cli.live import follow as live_follow
from nanny_ops.cli.meter import Meter, planned
from nanny_ops.cli.table import age, moment, show, show_one
from nanny_ops.protocol.clock import now, parse_stamp
from nanny_ops.protocol.operation import GOOD, Status
from nanny_ops.protocol.patch import PatchOperation
from nanny_ops.protocol.patch_report import PatchReport
from nanny_ops.protocol.watch import END

PACKAGES = {"package": "name", "from": "old_version", "to": "version", "action": "action", "security": "security"}
DIFFERENT = {"package": "name", "shown": "shown", "done": "done", "why": "why", "because": "reason"}
LEFT = {"package": "name", "installed": "old_version", "available": "version", "why": "why", "because": "reason"}


def follow(client: Client, operation: PatchOperation, *, as_json: bool) -> None:
    """Show an order live on stderr and its end on stdout; the exit code is 1 when it did not end well.

    With ``as_json`` each event is a line of JSON on stdout; the last one holds the order.
    """

    def idle() -> None:
        seen = client.patch(operation.id)
        if seen.status == Status.PENDING:
            live.say(why_idle(seen, client.agent(seen.agent_id)))

    one = Followed(operation.target, Meter(planned(operation)))
    live = Live({operation.id: one}, as_json=as_json, idle=idle)
    again, cancel = (f"nanny-ops patch {verb} {operation.id}" for verb in ("watch", "cancel"))
    live_follow(client, "patches", operation.id, live, again=again, cancel=cancel)
    ended = client.patch(operation.id)
    if as_json:
        print(json.dumps({"event": END, "id": ended.id, "operation": asdict(ended)}), flush=True)
    else:
        show_order(ended, as_json=False)
    if ended.outcome not in set(GOOD):
        raise typer.Exit(1)


def show_order(operation: PatchOperation, *, as_json: bool) -> None:
    """Print an order, the packages it is about, and what was left."""
    if as_json:
        show_one(asdict(operation), as_json=True)
        return
    if operation.report is not None:
        _show_report(operation.report)
    packages = [asdict(package) for package in operation.package_list or []]
    show_one(summary(operation), as_json=False)
    if packages:
        title = "Packages changed" if operation.mode == "apply" else "Packages that would change"
        print()
        show(packages, PACKAGES, as_json=False, title=title)
    if operation.differences:
        print()
        show([asdict(one) for one in operation.differences], DIFFERENT, as_json=False, title="Otherwise than shown")


def summary(operation: PatchOperation) -> dict[str, Any]:
    """Return what a person wants to know of an order; --json has the rest."""
    kind, _, vmid = operation.target.partition(":")
    place = {"lxc": f"container {vmid}", "qemu": f"virtual machine {vmid}"}.get(kind, "the host itself")
    ended = operation.finished_at is not None
    return {
        "order": operation.id,
        "what": "apply" if operation.mode == "apply" else "dry run, changes nothing",
        "where": f"{place}, by {operation.agent_id}",
        "as shown by": operation.as_shown,
        "only": operation.only,
        "without": operation.exclude,
        "held back": [f"{hold.name} ({hold.reason})" for hold in operation.holds],
        "protect": operation.protect if operation.protect != "none" else None,
        "batch": operation.batch_id,
        "limited to": "security updates" if operation.security_only else None,
        "status": operation.status,
        "waits": operation.waiting_for or None,
        "silent": _silence(operation),
        "outcome": operation.outcome,
        "reason": None if operation.waiting_for else operation.reason,
        "target": kept(operation),
        "exit code": operation.exit_code or None,
        "took": None if operation.duration is None else f"{operation.duration / 1000:.1f} s",
        "packages": operation.package_count,
        "ordered": f"{moment(operation.created_at)} UTC",
        "ended": f"{moment(operation.finished_at)} UTC" if ended else None,
        "lapses": f"{moment(operation.expires_at)} UTC" if operation.status in {"pending", "delivered"} else None,
    }


def _show_report(report: PatchReport) -> None:
    """Print what a job told beside its packages, as far as it says something."""
    shield = report.protection
    told = {
        "protected by": f"{shield.kind} {shield.name}" if shield and shield.kind != "none" else None,
        "not protected": shield.why_not if shield else None,
        "rolled back": report.rolled_back,
        "needs a reboot": report.reboot_why or report.reboot_required,
        "to be restarted": report.services,
        "new files beside": report.conffiles,
        "not refreshed": report.not_refreshed,
        "unhealthy": [f"{one.name}: {one.reason}" for one in report.probes if one.healthy is False],
        "failed steps": [f"{one.name}: {one.reason}" for one in report.steps if one.outcome == "failed"],
        "target now": report.left_in,
        "notes": report.notes,
    }
    if any(value not in (None, "", []) for value in told.values()):
        print()
        show_one(told, as_json=False)
    if report.left:
        print()
        show([asdict(one) for one in report.left], LEFT, as_json=False, title="Packages left")


def _silence(operation: PatchOperation) -> str | None:
    if operation.silent_since is None:
        return None
    return f"nothing was heard of its agent since {moment(operation.silent_since)} UTC; the script may run on"


def kept(operation: PatchOperation) -> str | None:
    """Say that an ended order keeps its target from others, until when, and what a person can do."""
    held = operation.holds_until
    if operation.finished_at is None or held is None or parse_stamp(held) <= now():
        return None
    return (
        f"kept from other orders until its agent tells that the script is over, or {moment(held)} UTC; "
        f"if nothing runs there any more, 'nanny-ops patch release {operation.id}' gives it free"
    )


def why_idle(operation: PatchOperation, agent: Mapping[str, Any]) -> str:
    """Say that the agent has not fetched an order, how the agent is, and what a person can do."""
    seen = f"last seen {age(agent['last_seen'])}" if agent["last_seen"] else "never seen"
    return (
        f"Waiting: agent {agent['hostname']} has not fetched this order yet ({agents.state(agent)}, {seen}); "
        f"is 'nanny-agent run' running there? It may begin until {moment(operation.expires_at)} UTC. "
        f"Ctrl-C ends the waiting only; 'nanny-ops patch cancel {operation.id}' takes the order back."
    )
