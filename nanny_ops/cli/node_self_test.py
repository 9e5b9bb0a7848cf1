"""``nanny-agent self-test``: whether this version could be the agent here; changes nothing, asks only the helper."""

import argparse
import contextlib
import importlib
import pkgutil
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nanny_ops import agent, helper, machine
from nanny_ops.agent import spool
from nanny_ops.agent.app import World, make_client, make_trust
from nanny_ops.agent.enrollment import TokenStore
from nanny_ops.agent.settings import Settings, static_token
from nanny_ops.cli.node_status import helper_state
from nanny_ops.errors import SpoolError
from nanny_ops.machine import policy
from nanny_ops.machine.frame import PROTOCOL

#: Seconds to wait for the agent that runs and writes.
BUSY = 20.0


def self_test(settings: Settings, world: World, options: argparse.Namespace) -> int:
    """Load everything, read what the owner wrote and what the agent keeps. Raises NannyError, ImportError."""
    del options
    count = sum(1 for _ in _imported())
    rules = policy.load(settings.policy_file)
    make_trust(settings, world, make_client(settings, world), rules)
    if not static_token(settings):
        TokenStore(settings.token_path).load()
    kept = orders(settings.state_dir / spool.NAME)
    if note := helper_note(helper_state(settings)):
        print(note, file=sys.stderr)
    print(f"{count} modules, settings, keys, identity and {kept} orders can be read.")
    return 0


def helper_note(found: Mapping[str, Any] | None) -> str:
    """Return what is to be done about the helper, empty where nothing is.

    None of it fails the test: before a switch the helper is that of the version before, and ends after it.
    """
    if found is None or found.get("protocol") == PROTOCOL:
        return ""
    if found["reachable"]:
        said = f"The helper of version {found['version']} speaks protocol {found['protocol']}, this version {PROTOCOL}."
        return f"{said} It ends by itself after an update; otherwise: systemctl stop nanny-agent-helper.service"
    return f"{found['problem']} Look at: systemctl status nanny-agent-helper.socket"


def orders(file: Path) -> int:
    """Return how many orders a spool keeps, without changing it. Raises SpoolError."""
    if not file.exists():
        return 0
    try:
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=BUSY)) as kept:
            found: int = kept.execute("SELECT count(*) FROM orders").fetchone()[0]
    except sqlite3.Error as wrong:
        raise SpoolError(f"The spool {file} cannot be read: {wrong}") from wrong
    return found


def _imported() -> Iterator[str]:
    for package in (agent, machine, helper):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
            yield module.name
