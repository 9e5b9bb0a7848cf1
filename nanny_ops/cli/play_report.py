"""``nanny-ops play``: what plays that ran elsewhere came to, as the collection's callback plugin has reported."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from nanny_ops.cli.credential import connect
from nanny_ops.cli.table import AsJson, Column, Limit, age, moment, printable, show, show_one
from nanny_ops.protocol.play_report import PlayReportDetail

app = typer.Typer(no_args_is_help=True, help="Plays that ran elsewhere and were reported.")
COLUMNS: dict[str, Column] = {
    "report": "id",
    "playbook": "playbook",
    "check": "check",
    "outcome": "outcome",
    "hosts": "hosts",
    "changed": "changed",
    "failed": "failed",
    "unreachable": "unreachable",
    "when": ("ended_at", age),
}
RECAP = ("ok", "changed", "failures", "unreachable", "skipped", "rescued", "ignored", "seconds")
TASKS: dict[str, Column] = {"host": "host", "state": "state", "task": "task", "seconds": "seconds", "why": "message"}


@app.command("list")
def list_reports(
    playbook: Annotated[str, typer.Option(help="Only of this playbook.")] = "",
    outcome: Annotated[str, typer.Option(help="Only with this outcome: ok, changed, failed, unreachable.")] = "",
    drift: Annotated[bool, typer.Option("--drift", help="Only checks that would change something.")] = False,
    as_json: AsJson = False,
    limit: Limit = 50,
) -> None:
    """List reports, newest first."""
    narrower = {"outcome": "changed", "check": "true"} if drift else {"outcome": outcome}
    with connect() as client:
        show(client.play_reports(limit, playbook=playbook, **narrower), COLUMNS, as_json=as_json)


@app.command("show")
def show_report(report: Annotated[str, typer.Argument(help="The report's id.")], as_json: AsJson = False) -> None:
    """Show one report; with differences where the play told them."""
    with connect() as client:
        found = client.play_report(report)
    if as_json:
        show_one(asdict(found), as_json=True)
        return
    show_one(_summary(found), as_json=False)
    recap = [{"host": host, **asdict(one)} for host, one in sorted(found.recap.items())]
    show(recap, {"host": "host", **{name: name for name in RECAP}}, as_json=False, title="Hosts")
    if found.tasks:
        show([asdict(one) for one in found.tasks], TASKS, as_json=False, title="Tasks")
    for one in found.tasks:
        if one.diff:
            typer.echo(printable(f"\n{one.host}: {one.task}\n{one.diff}"))


def _summary(found: PlayReportDetail) -> dict[str, Any]:
    return {
        "report": found.id,
        "playbook": found.playbook,
        "check": found.check,
        "outcome": found.outcome,
        "began": f"{moment(found.started_at)} UTC",
        "ended": f"{moment(found.ended_at)} UTC",
        "by": found.created_by,
        "ansible": found.ansible_version,
        "left out": found.left_out or None,
    }
