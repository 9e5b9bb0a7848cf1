"""``nanny-agent status``: how the agent of this machine stands; looks, and changes nothing."""

import argparse
import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nanny_ops.agent import lock, spool, static_token
from nanny_ops.agent.app import World, make_client
from nanny_ops.agent.client import ApiClient
from nanny_ops.agent.enrollment import TokenStore
from nanny_ops.agent.helper_socket import HelperSocket
from nanny_ops.agent.settings import Settings
from nanny_ops.agent.settings import static_token as read_static
from nanny_ops.agent.static_token import Given
from nanny_ops.errors import (
    AccessDenied,
    AgentRevoked,
    ExpiredToken,
    IdentityRefused,
    MachineError,
    NannyError,
    NotRegistered,
    Rejected,
    SettingsError,
    TokenFileBroken,
    TrustedKeysBroken,
    Unreachable,
)
from nanny_ops.machine import pinned_keys
from nanny_ops.machine.frame import PROTOCOL
from nanny_ops.machine.pinned_keys import PinnedKeys
from nanny_ops.machine.policy import find as find_policy
from nanny_ops.machine.policy import load as load_policy
from nanny_ops.machine.trusted_keys import read_local, usable
from nanny_ops.machine.verbs import DescribeHelper
from nanny_ops.protocol.enrollment import AgentStatus, TokenFile

EXIT_CODES: tuple[tuple[type[NannyError], int], ...] = (
    (SettingsError, 2),
    (NotRegistered, 3),
    (AgentRevoked, 4),
    (IdentityRefused, 4),
    (Unreachable, 5),
    (AccessDenied, 6),
    (ExpiredToken, 6),
)
#: Seconds that ``status`` waits for the control plane in all.
STATUS_DEADLINE = 5.0
#: What an agent says of itself before it has an identity.
NOBODY = "unregistered"
#: What stands for the type of a token that a setting gives and nobody refreshes.
STATIC = "static"


def exit_code(wrong: NannyError) -> int:
    """Return the exit code of an error."""
    return next((code for kind, code in EXIT_CODES if isinstance(wrong, kind)), 1)


def agent_id_of(settings: Settings) -> str:
    """Return whom this machine is, as far as it can tell by itself."""
    try:
        return identity_of(settings).agent_id or NOBODY
    except (NotRegistered, TokenFileBroken, SettingsError):
        return NOBODY


def identity_of(settings: Settings) -> TokenFile:
    """Return the tokens in use; of a static one the agent's id is empty until the control plane has told it.

    Raises NotRegistered, TokenFileBroken, SettingsError.
    """
    token = read_static(settings)
    if not token:
        return TokenStore(settings.token_path).load()
    known = static_token.recall(settings.state_dir / static_token.NAME, token)
    return TokenFile(
        access_token=token,
        refresh_token="",
        token_type=STATIC,
        expires_at=known.expires_at if known else "",
        agent_id=known.agent_id if known else "",
    )


def show_status(settings: Settings, world: World, options: argparse.Namespace) -> int:
    """Print how the agent stands and return the exit code."""
    tokens = identity_of(settings)
    found = asyncio.run(ask(settings, world, tokens))
    code = int(found.pop("exit_code"))
    counts = spool.peek(settings.state_dir / spool.NAME)
    found = {
        "control_plane": settings.url,
        "agent_id": tokens.agent_id or NOBODY,
        "token": STATIC if tokens.token_type == STATIC else "refreshed",
        "token_expires_at": tokens.expires_at,
        "daemon_pid": lock.holder(settings.state_dir),
        "spool": asdict(counts) if counts is not None else None,
        "trusted_keys": _trusted(settings),
        "helper": helper_state(settings),
    } | found
    print(json.dumps(found, indent=2) if options.json else _table(found))
    return code


async def ask(settings: Settings, world: World, tokens: TokenFile, deadline: float = STATUS_DEADLINE) -> dict[str, Any]:
    """Return what the control plane says of this agent, within ``deadline`` seconds."""
    client = make_client(settings, world)
    client.tokens = Given(tokens.access_token)
    try:
        async with asyncio.timeout(deadline):
            if tokens.token_type == STATIC:
                return await _static_health(client, make_client(settings, world), tokens.access_token)
            return await _health(client, tokens.agent_id)
    except TimeoutError:
        return {"health": "unreachable", "reason": f"no answer within {deadline:.0f} s", "exit_code": 5}
    finally:
        await client.close()


async def _static_health(client: ApiClient, other: ApiClient, token: str) -> dict[str, Any]:
    """Ask for whom the token speaks, then how that agent is."""
    try:
        told = await static_token.ask(other, token)
    except NannyError as wrong:
        return {"health": wrong.code, "reason": wrong.message, "exit_code": exit_code(wrong)}
    return {"agent_id": told.agent_id, "token_expires_at": told.expires_at, **await _health(client, told.agent_id)}


async def _health(client: ApiClient, agent_id: str) -> dict[str, Any]:
    try:
        await client.request("GET", "/health", auth=False, tries=1)
        status = (await client.request("GET", f"/api/agent/{agent_id}", tries=1)).read(AgentStatus)
    except Rejected as wrong:
        if wrong.details.get("status") == 401:
            reason = "the access token has expired; a running daemon renews it"
            return {"health": "unknown", "reason": reason, "exit_code": 0}
        return {"health": "unknown", "reason": wrong.message, "exit_code": 1}
    except NannyError as wrong:
        return {"health": wrong.code, "reason": wrong.message, "exit_code": exit_code(wrong)}
    revoked = status.status == "revoked"
    return {"health": "revoked" if revoked else status.health_status, "reason": "", "exit_code": 4 if revoked else 0}


def _trusted(settings: Settings) -> list[str] | None:
    """Return the names of the keys whose signatures count; None where none was ever pinned."""
    keys = read_local(settings.trusted_keys_file)
    try:
        keys = PinnedKeys(settings.state_dir / pinned_keys.NAME).load() if keys is None else keys
    except TrustedKeysBroken:
        return []
    return None if keys is None else sorted(usable(keys, load_policy(find_policy(settings.policy_file))))


def helper_state(settings: Settings) -> dict[str, Any] | None:
    """Ask the privileged helper how it stands; None where the agent begins jobs itself."""
    if not settings.helper_socket:
        return None
    path = Path(settings.helper_socket)
    state: dict[str, Any] = {"socket": str(path), "installed": path.exists(), "reachable": False}
    try:
        facts = asyncio.run(HelperSocket(path, deadline=STATUS_DEADLINE, tries=1).do(DescribeHelper()))
    except (MachineError, OSError) as wrong:
        return {**state, "problem": wrong.message if isinstance(wrong, MachineError) else str(wrong)}
    same = facts.protocol == PROTOCOL
    problem = facts.problem or ("" if same else f"It speaks protocol {facts.protocol}, this agent {PROTOCOL}.")
    return {**state, **asdict(facts), "reachable": True, "problem": problem}


def _helper_rows(found: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if found is None:
        return [("helper", "none: this process begins jobs itself")]
    if not found["reachable"]:
        there = "does not answer" if found["installed"] else "is not there"
        return [("helper", f"{found['socket']} {there}"), ("", found["problem"])]
    rows = [("helper", f"{found['version']}, protocol {found['protocol']}")]
    rows.append(("its keys", ", ".join(found["keys"]) or "none"))
    policy = found["policy"]
    if policy is not None:
        rows.append(("its policy", policy["file"] or "none: only readings and dry runs"))
    return [*rows, ("", found["problem"])] if found["problem"] else rows


def _table(found: Mapping[str, Any]) -> str:
    rows = [("control plane", found["control_plane"]), ("agent", found["agent_id"]), ("health", found["health"])]
    if found["reason"]:
        rows.append(("", found["reason"]))
    rows.append(("token", found["token"]))
    rows.append(("token expires", found["token_expires_at"] or "unknown"))
    rows.append(("daemon", f"process {found['daemon_pid']}" if found["daemon_pid"] is not None else "not running"))
    known = found["trusted_keys"]
    rows.append(("trusted keys", "none pinned yet" if known is None else ", ".join(known) or "none"))
    rows += _helper_rows(found["helper"])
    for name, count in (found["spool"] or {}).items():
        rows.append((name.replace("_", " "), str(count)))
    return "\n".join(f"{left:<22}{right}" for left, right in rows)
