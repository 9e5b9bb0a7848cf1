"""The command ``nanny-agent``, for people who stand at a machine.

Exit codes: 0 done, 1 failed, 2 wrong usage or setting, 3 not registered, 4 revoked, 5 control plane unreachable,
6 denied or expired.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NoReturn

import nanny_ops
from nanny_ops.agent import lock, spool, trusted_keys
from nanny_ops.agent.app import World, anonymous, make_client, make_trust, proxmox_access, run_until_signal
from nanny_ops.agent.client import ApiClient
from nanny_ops.agent.collectors import COLLECTORS
from nanny_ops.agent.enrollment import PATH, DeviceFlow, TokenStore, enrol_with_token
from nanny_ops.agent.equipment import Equipment
from nanny_ops.agent.hands import InProcess
from nanny_ops.agent.policy import Policy
from nanny_ops.agent.policy import load as load_policy
from nanny_ops.agent.settings import SETTINGS, Settings, enrollment_token, load, nearest
from nanny_ops.agent.trust import pin, usable
from nanny_ops.agent.trusted_keys import PinnedKeys
from nanny_ops.errors import (
    AccessDenied,
    AgentRevoked,
    AlreadyRegistered,
    ExpiredToken,
    IdentityRefused,
    NannyError,
    NotRegistered,
    Rejected,
    SettingsError,
    TokenFileBroken,
    TrustedKeysBroken,
    Unreachable,
)
from nanny_ops.machine.perform import perform
from nanny_ops.machine.verbs import DescribeHost, HostFacts
from nanny_ops.protocol.enrollment import (
    AgentStatus,
    DeviceAuthStart,
    Register,
    RegisterWithToken,
    TokenAnswer,
    TokenFile,
)

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
#: Most addresses and letters that a claim may hold.
MOST_IPS, MOST_LETTERS = 256, 255


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}\n{self.format_usage().rstrip()}")


def build_parser() -> argparse.ArgumentParser:
    """Return the command line; every setting that is no secret is a flag of every command."""
    parser = _Parser(prog="nanny-agent", description="The agent of nanny-ops.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"nanny-agent {nanny_ops.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for name, (_, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        _add_flags(command, name)
    return parser


def _add_flags(command: argparse.ArgumentParser, name: str) -> None:
    command.add_argument("--config", metavar="FILE", help="File of settings (NANNY_AGENT_CONFIG).")
    for row in SETTINGS:
        if row.flag:
            short = ("--token-file",) if (name, row.name) == ("register", "enrollment_token_file") else ()
            text = f"{row.help} ({row.env})"
            command.add_argument(row.flag, *short, dest=row.name, metavar=row.kind.upper(), help=text)
    if name == "register":
        command.add_argument("--force", action="store_true", help="Replace an identity that is there.")
        command.add_argument("--name", default="", help="Name to show to the person who decides.")
    if name == "status":
        command.add_argument("--json", action="store_true", help="Print one JSON object.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        return _run(arguments, os.environ)
    except NannyError as wrong:
        print(f"nanny-agent: {wrong.message}", file=sys.stderr)
        return exit_code(wrong)
    except KeyboardInterrupt:
        print("nanny-agent: interrupted", file=sys.stderr)
        return 1


def exit_code(wrong: NannyError) -> int:
    """Return the exit code of an error."""
    return next((code for kind, code in EXIT_CODES if isinstance(wrong, kind)), 1)


def _run(arguments: list[str], environ: Mapping[str, str]) -> int:
    options = _parse(arguments)
    names = {"config", *(row.name for row in SETTINGS)}
    flags = {name: value for name, value in vars(options).items() if name in names and value is not None}
    settings = load(flags, environ)
    _log_to_stderr(settings.log_level if options.command == "run" else "warning")
    hands = InProcess(perform, jobs_dir=settings.state_dir / "jobs")
    try:
        return COMMANDS[options.command][0](settings, World(hands=hands), options)
    finally:
        hands.close()


def _parse(arguments: list[str]) -> argparse.Namespace:
    options, unknown = build_parser().parse_known_args(arguments)
    if unknown:
        flags = [row.flag for row in SETTINGS if row.flag]
        raise SettingsError(f"'{unknown[0]}' is not known{nearest(unknown[0].partition('=')[0], flags)}")
    return options


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format="%(levelname)s %(name)s %(message)s")
    for noisy in ("httpx", "httpcore", "apscheduler"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _register(settings: Settings, world: World, options: argparse.Namespace) -> int:
    store = TokenStore(settings.token_path)
    if not options.force:
        _refuse_second(store)
    store.rehearse()
    tokens = asyncio.run(_enrol(settings, world, options.name))
    store.save(tokens)
    print(f"This machine is registered as {tokens.agent_id}.")
    print("Start the agent with: nanny-agent run")
    return 0


def _refuse_second(store: TokenStore) -> None:
    with contextlib.suppress(NotRegistered):
        found = store.load()
        raise AlreadyRegistered(
            f"This machine is registered already, as {found.agent_id}; add --force to replace that identity."
        )


async def _enrol(settings: Settings, world: World, name: str) -> TokenFile:
    token = enrollment_token(settings)
    facts = await world.hands.do(DescribeHost())
    client = make_client(settings, world)
    pinned = PinnedKeys(settings.state_dir / trusted_keys.NAME)

    async def learn(answer: TokenAnswer) -> None:
        pin(pinned, answer, world.now())

    flow = DeviceFlow(
        anonymous(client),
        tell=lambda line: print(line, flush=True),
        clock=world.now,
        sleep=world.sleep,
        learn=learn,
    )
    claims = DeviceAuthStart(hostname=_cut(facts.hostname), all_ips=facts.all_ips[:MOST_IPS], name=_cut(name))
    try:
        if token:
            client.tokens = _Given(token)
            claim = RegisterWithToken(**_facts(facts), attempt=secrets.token_hex(16))
            return await enrol_with_token(lambda body: client.request("POST", PATH, body=body), claim, world.now, learn)
        return await flow.enrol(claims, lambda code: Register(**_facts(facts), device_code=code))
    finally:
        await client.close()


def _cut(text: str) -> str:
    return text[:MOST_LETTERS]


def _facts(facts: HostFacts) -> dict[str, Any]:
    return {
        "hostname": _cut(facts.hostname),
        "platform": _cut(facts.platform),
        "platform_family": _cut(facts.platform_family),
        "version": nanny_ops.__version__,
        "primary_ip": facts.primary_ip,
        "kernel_version": _cut(facts.kernel_version),
        "all_ips": facts.all_ips[:MOST_IPS],
        "os_type": _cut(facts.os_type),
    }


def _serve(settings: Settings, world: World, options: argparse.Namespace) -> int:
    del options
    asyncio.run(run_until_signal(settings, world))
    return 0


def _collect(settings: Settings, world: World, options: argparse.Namespace) -> int:
    del options
    reading, code = asyncio.run(_read_once(settings, world))
    print(json.dumps(reading, indent=2))
    return code


async def _read_once(settings: Settings, world: World) -> tuple[dict[str, Any], int]:
    facts = await world.hands.do(DescribeHost())
    client = make_client(settings, world)
    equipment = Equipment(
        client=client,
        hands=world.hands,
        agent_id=_agent_id(settings),
        now=world.now,
        sleep=world.sleep,
        policy=Policy(),
        trust=make_trust(settings, world, client, Policy()),
        proxmox=proxmox_access(settings, facts),
    )
    found: dict[str, Any] = {}
    code = 0
    for kind in COLLECTORS:
        try:
            readings = await kind(equipment).collect()
            found[kind.name] = [{"path": one.path, "body": json.loads(one.body)} for one in readings]
        except NannyError as wrong:
            found[kind.name], code = {"error": wrong.code, "error_description": wrong.message}, 1
    await client.close()
    return found, code


def _agent_id(settings: Settings) -> str:
    try:
        return TokenStore(settings.token_path).load().agent_id
    except (NotRegistered, TokenFileBroken):
        return NOBODY


def _status(settings: Settings, world: World, options: argparse.Namespace) -> int:
    tokens = TokenStore(settings.token_path).load()
    found = asyncio.run(_ask(settings, world, tokens))
    code = int(found.pop("exit_code"))
    counts = spool.peek(settings.state_dir / spool.NAME)
    found |= {
        "control_plane": settings.url,
        "agent_id": tokens.agent_id,
        "token_expires_at": tokens.expires_at,
        "daemon_pid": lock.holder(settings.state_dir),
        "spool": asdict(counts) if counts is not None else None,
        "trusted_keys": _trusted(settings),
    }
    print(json.dumps(found, indent=2) if options.json else _table(found))
    return code


async def _ask(
    settings: Settings, world: World, tokens: TokenFile, deadline: float = STATUS_DEADLINE
) -> dict[str, Any]:
    client = make_client(settings, world)
    client.tokens = _Given(tokens.access_token)
    try:
        async with asyncio.timeout(deadline):
            return await _health(client, tokens.agent_id)
    except TimeoutError:
        return {"health": "unreachable", "reason": f"no answer within {deadline:.0f} s", "exit_code": 5}
    finally:
        await client.close()


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


class _Given:
    """An access token as it is in the file: looking at the status renews nothing."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def access(self) -> str:
        return self._token

    async def renew(self, stale: str) -> str:
        return stale


def _trusted(settings: Settings) -> list[str] | None:
    """Return the names of the keys whose signatures count; None where none was ever pinned."""
    keys = trusted_keys.read_local(settings.trusted_keys_file)
    try:
        keys = PinnedKeys(settings.state_dir / trusted_keys.NAME).load() if keys is None else keys
    except TrustedKeysBroken:
        return []
    return None if keys is None else sorted(usable(keys, load_policy(settings.policy_file)))


def _table(found: Mapping[str, Any]) -> str:
    rows = [("control plane", found["control_plane"]), ("agent", found["agent_id"]), ("health", found["health"])]
    if found["reason"]:
        rows.append(("", found["reason"]))
    rows.append(("token expires", found["token_expires_at"]))
    rows.append(("daemon", f"process {found['daemon_pid']}" if found["daemon_pid"] is not None else "not running"))
    known = found["trusted_keys"]
    rows.append(("trusted keys", "none pinned yet" if known is None else ", ".join(known) or "none"))
    for name, count in (found["spool"] or {}).items():
        rows.append((name.replace("_", " "), str(count)))
    return "\n".join(f"{left:<22}{right}" for left, right in rows)


def _unregister(settings: Settings, world: World, options: argparse.Namespace) -> int:
    del world, options
    store = TokenStore(settings.token_path)
    agent_id = _agent_id(settings)
    if not store.remove():
        print("This machine is not registered; there is nothing to remove.")
        return 0
    print(f"Removed the identity of {agent_id} from this machine.")
    print(f"It is still known to {settings.url}; revoke it there with: nanny-ops agent revoke {agent_id}")
    pid = lock.holder(settings.state_dir)
    if pid is not None:
        print(f"An agent is still running as process {pid}; stop it.")
    return 0


Command = Callable[[Settings, World, argparse.Namespace], int]
COMMANDS: dict[str, tuple[Command, str]] = {
    "register": (_register, "Register this machine with the control plane: a person or an enrolment token allows it."),
    "run": (_serve, "Be the agent, until SIGTERM."),
    "status": (_status, "Show how this agent stands; changes nothing and takes five seconds at most."),
    "collect": (_collect, "Print one reading as JSON without sending it."),
    "unregister": (_unregister, "Remove this machine's identity."),
}
