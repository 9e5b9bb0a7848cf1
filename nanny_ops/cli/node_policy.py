"""``nanny-agent policy``: what this machine's owner allows, and what of it is allowed now."""

import argparse
import json
from collections.abc import Collection
from typing import Any

from nanny_ops.agent.app import World
from nanny_ops.agent.settings import Settings
from nanny_ops.machine.policy import ANY_KEY, Policy, load
from nanny_ops.protocol.clock import stamp


def show_policy(settings: Settings, world: World, options: argparse.Namespace) -> int:
    """Print the policy; asks nobody and changes nothing. Raises SettingsError."""
    policy = load(settings.policy_file)
    found = _described(policy, settings.policy_file, world)
    print(json.dumps(found, indent=2) if options.json else _table(policy, found))
    return 0


def _described(policy: Policy, path: str, world: World) -> dict[str, Any]:
    now = world.now()
    times = policy.times
    change = times.change(now) if times is not None else None
    return {
        "file": path,
        "modes": _sorted(policy.modes),
        "targets": _sorted(policy.targets),
        "scripts": _sorted(policy.scripts),
        "signatures": policy.signatures or ANY_KEY,
        "threshold": policy.threshold,
        "times": list(times.written) if times is not None else None,
        "time_zone": policy.time_zone,
        "dry_runs_anytime": policy.dry_runs_anytime,
        "changes_allowed_now": times is None or times.allow(now),
        "until": stamp(change) if change is not None else None,
    }


def _sorted(words: Collection[str] | None) -> list[str] | None:
    return None if words is None else sorted(words)


def _table(policy: Policy, found: dict[str, Any]) -> str:
    rows = [("file", found["file"] or "none: everything is allowed")]
    lists = ("modes", "targets", "scripts")
    rows += [(name, "all" if found[name] is None else ", ".join(found[name]) or "none") for name in lists]
    rows.append(("signatures", f"{found['signatures']}, {found['threshold']} needed"))
    rows.append(("times", "always" if policy.times is None else str(policy.times)))
    if policy.times is not None:
        rows.append(("dry runs", "always" if policy.dry_runs_anytime else "at these times"))
    word = "allowed" if found["changes_allowed_now"] else "not allowed"
    rows.append(("changes now", f"{word}, until {found['until']}" if found["until"] else word))
    return "\n".join(f"{left:<22}{right}" for left, right in rows)
