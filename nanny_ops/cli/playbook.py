"""``nanny-ops playbook``: what the control plane can run, and its runs."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from nanny_ops.cli.client import Client
from nanny_ops.cli.credential import connect
from nanny_ops.cli.playbook_watch import follow, line
from nanny_ops.cli.table import AsJson, Column, Limit, age, moment, show, show_one
from nanny_ops.errors import SettingsError
from nanny_ops.protocol.playbook_run import GOOD_RUNS, PlaybookRun

app = typer.Typer(no_args_is_help=True, help="Playbooks that the control plane runs.")
COLUMNS: dict[str, Column] = {
    "playbook": "name",
    "from": "origin",
    "changes": "changes",
    "what": "description",
    "trouble": "trouble",
}
OPTIONS: dict[str, Column] = {
    "variable": "name",
    "type": "type",
    "required": "required",
    "default": "default",
    "choices": "choices",
    "what": "description",
}
RUNS: dict[str, Column] = {
    "run": "id",
    "playbook": "playbook",
    "check": "check",
    "state": "state",
    "why": "reason",
    "when": ("created_at", age),
}
HOSTS = ("ok", "changed", "failures", "unreachable", "skipped", "rescued", "ignored")
Key = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
Watch = Annotated[bool, typer.Option("--watch", help="Follow it to its end; 1 unless it ended well.")]


@app.command("list")
def list_playbooks(as_json: AsJson = False, limit: Limit = 200) -> None:
    """List playbooks by name."""
    with connect() as client:
        show(client.playbooks(limit), COLUMNS, as_json=as_json)


@app.command("show")
def show_playbook(name: str, as_json: AsJson = False) -> None:
    """Show one playbook with the variables that it takes."""
    with connect() as client:
        found = client.playbook(name)
    if as_json:
        show_one(found, as_json=True)
        return
    show_one({key: value for key, value in found.items() if key != "options"}, as_json=False)
    if found["options"]:
        print()
        show(found["options"], OPTIONS, as_json=False, title="Variables")


@app.command("run")
def run(
    name: str,
    var: Annotated[list[str] | None, typer.Option("--var", "-e", help="NAME=VALUE; JSON, unless it is a text.")] = None,
    vars_file: Annotated[Path | None, typer.Option(help="A file with a JSON object of variables.")] = None,
    limit: Annotated[list[str] | None, typer.Option("--limit", help="A host or group; again for more.")] = None,
    new_host: Annotated[
        list[str] | None, typer.Option("--new-host", help="NAME=ADDRESS of a host without agent; again for more.")
    ] = None,
    host_keys: Annotated[
        Path | None, typer.Option(help="A file as ssh-keyscan writes it; its keys are believed in this run.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing, tell what would change.")] = False,
    no_check_first: Annotated[bool, typer.Option("--no-check-first", help="Run without a check; say why.")] = False,
    reason: Annotated[str, typer.Option(help="Why there is no check before it.")] = "",
    timeout: Annotated[int, typer.Option(min=0, help="Seconds that it may take; 0 is as long as usual.")] = 0,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """Order a run; one that changes needs a good check of the same before it."""
    asked: dict[str, Any] = {
        "playbook": name,
        "limit": limit or [],
        "new_hosts": [new_hosts_of(one) for one in new_host or []],
        "host_keys": lines_of(host_keys),
        "check": check,
        "no_check_first": no_check_first,
        "reason": reason,
        "timeout_seconds": timeout,
    }
    with connect() as client:
        kinds = {option["name"]: option["type"] for option in client.playbook(name)["options"]} if var else {}
        placed = client.run_playbook({**asked, "vars": variables(var or [], vars_file, kinds)})
        if watch:
            _watch(client, placed, as_json=as_json)
            return
    if as_json:
        show_one(asdict(placed), as_json=True)
    else:
        typer.echo(placed.id)


@app.command("runs")
def runs(
    playbook: Annotated[str, typer.Option(help="Only of this playbook.")] = "",
    status: Annotated[str, typer.Option(help="Only with this status.")] = "",
    as_json: AsJson = False,
    limit: Limit = 50,
) -> None:
    """List runs, newest first."""
    with connect() as client:
        found = client.playbook_runs(limit, playbook=playbook, status=status)
    rows = [asdict(one) for one in found]
    show(
        rows if as_json else [{**row, "state": row["outcome"] or row["status"]} for row in rows], RUNS, as_json=as_json
    )


@app.command("log")
def log(
    run_id: Key,
    output: Annotated[bool, typer.Option("--output", help="What Ansible printed, instead of events.")] = False,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """Tell of a run: its events, its recap; --watch goes on until it has ended."""
    with connect() as client:
        found = client.playbook_run(run_id)
        if output:
            _print_output(client, run_id)
            return
        if watch:
            _watch(client, found, as_json=as_json)
            return
        seq = 0
        while events := client.playbook_events(run_id, seq):
            for event in events:
                print(json.dumps(event) if as_json else line(event))
            seq = events[-1]["seq"]
    if not as_json:
        _recap(found)


@app.command("cancel")
def cancel(run_id: Key, as_json: AsJson = False) -> None:
    """End a run with all its processes."""
    with connect() as client:
        found = client.cancel_playbook_run(run_id)
    if as_json:
        show_one(asdict(found), as_json=True)
    else:
        asked = " and is asked to end" if found.cancel_requested_at and found.status == "running" else ""
        typer.echo(f"{found.id} is {found.status}{asked}.")


def variables(given: list[str], file: Path | None, kinds: Mapping[str, str]) -> dict[str, Any]:
    """Read variables; a value that is JSON is taken as that, unless the playbook wants a text. Raises SettingsError."""
    try:
        found = json.loads(file.read_text()) if file is not None else {}
    except (OSError, ValueError) as wrong:
        raise SettingsError(f"{file} cannot be read: {wrong}.") from wrong
    if not isinstance(found, dict):
        raise SettingsError(f"{file} holds no JSON object.")
    for one in given:
        name, sign, text = one.partition("=")
        if not sign or not name:
            raise SettingsError(f"--var '{one}' is not of the form NAME=VALUE.")
        found[name] = text if kinds.get(name) in {"str", "path"} else _json(text)
    return found


def new_hosts_of(given: str) -> dict[str, str]:
    """Read NAME=ADDRESS. Raises SettingsError."""
    name, sign, address = given.partition("=")
    if not sign or not name or not address:
        raise SettingsError(f"--new-host '{given}' is not of the form NAME=ADDRESS.")
    return {"name": name, "address": address}


def lines_of(file: Path | None) -> list[str]:
    """Read host keys, without comments. Raises SettingsError."""
    try:
        text = file.read_text() if file is not None else ""
    except (OSError, UnicodeDecodeError) as wrong:
        raise SettingsError(f"{file} cannot be read: {wrong}.") from wrong
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _watch(client: Client, run: PlaybookRun, *, as_json: bool) -> None:
    ended = follow(client, run, as_json=as_json)
    if as_json:
        print(json.dumps(asdict(ended)), flush=True)
    else:
        _recap(ended)
    if ended.outcome not in GOOD_RUNS:
        raise typer.Exit(1)


def _recap(run: PlaybookRun) -> None:
    rows = [{"host": name, **{word: getattr(stats, word) for word in HOSTS}} for name, stats in run.hosts.items()]
    if rows:
        print()
        show(rows, {"host": "host", **{word: word for word in HOSTS}}, as_json=False)
    left = f" {run.left_out} events were too many to be told." if run.left_out else ""
    state = run.outcome or run.status
    when = f", {moment(run.ended_at)} UTC" if run.ended_at else ""
    typer.echo(f"{run.id}: {state}{when}. {run.reason}{left}".rstrip())


def _print_output(client: Client, run_id: str) -> None:
    offset = 0
    while piece := client.playbook_output(run_id, offset):
        sys.stdout.buffer.write(piece)
        offset += len(piece)
    sys.stdout.buffer.flush()
