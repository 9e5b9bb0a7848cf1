"""``nanny-agent policy``: what this machine's owner allows, what of it is allowed now, and whether an order would be.

Exit codes of ``check``: 0 it would be allowed, 1 it would not, 2 the file or the question is wrong.
"""

import argparse
import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from nanny_ops.agent.app import World
from nanny_ops.agent.settings import Settings
from nanny_ops.errors import SettingsError, ValidationFailed
from nanny_ops.machine.commands import COMMANDS
from nanny_ops.machine.policy import HOST, INVESTIGATION, PATCH, PRUNE, REBOOT, UPDATE, Policy, find, load, report
from nanny_ops.protocol.clock import parse_stamp, stamp
from nanny_ops.protocol.operation import parse_vmid

#: What stands for a script that is not named: no list of scripts holds it.
ANY_SCRIPT = "-"


def add_question(command: argparse.ArgumentParser) -> None:
    """Add what ``check`` asks by."""
    command.add_argument("action", nargs="?", choices=("show", "check"), default="show", help="show, unless said.")
    kinds = (PATCH, REBOOT, UPDATE, PRUNE, INVESTIGATION)
    command.add_argument("--operation", choices=kinds, default=PATCH, help="Kind of the order; patch unless said.")
    command.add_argument("--mode", choices=("dry-run", "apply"), default="apply", help="Of a patch; apply unless said.")
    command.add_argument("--target", default=HOST, help="host, or a guest's number; host unless said.")
    command.add_argument("--script-sha256", default=ANY_SCRIPT, help="SHA-256 of the script of a patch.")
    command.add_argument("--at", default="", help="When it would begin (UTC, ISO 8601); now unless said.")
    command.add_argument("--command", dest="command_name", default="", help="Ask for a command that looks.")


def show_policy(settings: Settings, world: World, options: argparse.Namespace) -> int:
    """Print the policy, or whether it allows an order; asks nobody and changes nothing. Raises SettingsError."""
    path = find(settings.policy_file)
    policy = load(path)
    if options.action == "check":
        return _check(policy, path, world.now(), options)
    found = _described(policy, path, world)
    print(json.dumps(found, indent=2) if options.json else _table(policy, found))
    return 0


def _check(policy: Policy, path: str, now: datetime, options: argparse.Namespace) -> int:
    forbidden = refusal(policy, now, options)
    named = path or "no file"
    if options.json:
        print(json.dumps({"file": path, "allowed": not forbidden, "reason": forbidden}, indent=2))
    else:
        print(f"{named}: {forbidden or 'allowed.'}")
    return 1 if forbidden else 0


def refusal(policy: Policy, now: datetime, options: argparse.Namespace) -> str:
    """Return why an order would be refused, in the refusal's words; empty when it would not. Raises SettingsError."""
    target = _target(options.target)
    at = _instant(options.at) if options.at else now
    if options.command_name:
        known = [one.name for one in COMMANDS]
        if options.command_name not in known:
            raise SettingsError(f"There is no command '{options.command_name}'; there are {', '.join(known)}.")
        forbidden = policy.refuses_operation(INVESTIGATION, target)  # what a command belongs to
        return forbidden or policy.refuses_command(options.command_name, target)
    if options.operation != PATCH:
        return policy.refuses_operation(options.operation, target) or (
            "" if options.operation == INVESTIGATION else policy.mistimed(at, dry_run=False)
        )
    sha256 = options.script_sha256.lower()
    if sha256 == ANY_SCRIPT and policy.scripts is not None:
        raise SettingsError("This policy names scripts; say which one with --script-sha256.")
    return policy.refuses(mode=options.mode, target=target, sha256=sha256) or policy.mistimed(
        at, dry_run=options.mode == "dry-run"
    )


def _target(text: str) -> str:
    try:
        vmid = None if text == HOST else parse_vmid(text)
    except ValidationFailed as wrong:
        raise SettingsError(wrong.message) from wrong
    return HOST if vmid is None else str(vmid)


def _instant(text: str) -> datetime:
    try:
        return parse_stamp(text)
    except ValidationFailed as wrong:
        raise SettingsError(f"--at: {wrong.message}") from wrong


def _described(policy: Policy, path: str, world: World) -> dict[str, Any]:
    now = world.now()
    times = policy.times
    change = times.change(now) if times is not None else None
    return {
        **asdict(report(policy, path)),
        "changes_allowed_now": times is None or times.allow(now),
        "until": stamp(change) if change is not None else None,
    }


def _table(policy: Policy, found: dict[str, Any]) -> str:
    rows = [("file", found["file"] or "none: only readings and dry runs are allowed")]
    lists = ("operations", "modes", "targets", "scripts", "commands")
    rows += [(name, "all" if found[name] is None else ", ".join(found[name]) or "none") for name in lists]
    rows.append(("signatures", f"{found['signatures']}, {found['threshold']} needed"))
    rows.append(("times", "always" if policy.times is None else str(policy.times)))
    if policy.times is not None:
        rows.append(("dry runs", "always" if policy.dry_runs_anytime else "at these times"))
    word = "allowed" if found["changes_allowed_now"] else "not allowed"
    rows.append(("changes now", f"{word}, until {found['until']}" if found["until"] else word))
    return "\n".join(f"{left:<22}{right}" for left, right in rows)
