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
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import nanny_ops
from nanny_ops.agent import lock
from nanny_ops.agent.app import World, anonymous, make_client, make_trust, proxmox_access, run_until_signal
from nanny_ops.agent.collectors import COLLECTORS
from nanny_ops.agent.enrollment import PATH, DeviceFlow, TokenStore, enrol_with_token
from nanny_ops.agent.equipment import Equipment
from nanny_ops.agent.hands import InProcess, Split
from nanny_ops.agent.helper_socket import HelperSocket
from nanny_ops.agent.settings import SETTINGS, Settings, enrollment_token, load, nearest, static_token
from nanny_ops.agent.static_token import Given
from nanny_ops.agent.trust import pin
from nanny_ops.cli.node_helper import tell_helper
from nanny_ops.cli.node_policy import add_question, show_policy
from nanny_ops.cli.node_restart import Restart
from nanny_ops.cli.node_self_test import self_test
from nanny_ops.cli.node_status import agent_id_of, exit_code, show_status
from nanny_ops.cli.node_trust import add_keys, trust
from nanny_ops.cli.state_owner import as_owner
from nanny_ops.errors import (
    AlreadyRegistered,
    NannyError,
    NotRegistered,
    SettingsError,
)
from nanny_ops.machine import allocator, pinned_keys, readiness
from nanny_ops.machine.job import FOLDER
from nanny_ops.machine.perform import perform
from nanny_ops.machine.pinned_keys import PinnedKeys
from nanny_ops.machine.policy import Policy
from nanny_ops.machine.verbs import DescribeHost, HostFacts
from nanny_ops.protocol.enrollment import (
    DeviceAuthStart,
    Register,
    RegisterWithToken,
    TokenAnswer,
    TokenFile,
)

log = logging.getLogger(__name__)
#: Most addresses and letters that a claim may hold.
MOST_IPS, MOST_LETTERS = 256, 255

#: Where a package or a person puts units.
UNITS = (Path("/etc/systemd/system"), Path("/usr/lib/systemd/system"))


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
            if (name, row.name) == ("register", "token_file"):
                continue  # the flag means the enrolment token here; who has a static one does not register
            short = ("--token-file",) if (name, row.name) == ("register", "enrollment_token_file") else ()
            text = f"{row.help} ({row.env})"
            command.add_argument(row.flag, *short, dest=row.name, metavar=row.kind.upper(), help=text)
    if name == "trust":
        add_keys(command)
    if name == "register":
        command.add_argument("--force", action="store_true", help="Replace an identity that is there.")
        command.add_argument("--name", default="", help="Name to show to the person who decides.")
    if name in {"register", "trust"}:
        text = "Settings of the privileged helper, which root tells the keys."
        command.add_argument("--helper-config", metavar="FILE", help=text)
    if name == "policy":
        add_question(command)
    if name in {"status", "policy"}:
        command.add_argument("--json", action="store_true", help="Print one JSON object.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        return _run(arguments, os.environ)
    except NannyError as wrong:
        print(f"nanny-agent: {wrong.message}", file=sys.stderr)
        code = exit_code(wrong)
        # Also where a version on trial cannot read its settings, of which _run_again never hears.
        return Restart().end(code, os.environ) if arguments[:1] == ["run"] else code
    except KeyboardInterrupt:
        print("nanny-agent: interrupted", file=sys.stderr)
        return 1


def _run(arguments: list[str], environ: Mapping[str, str]) -> int:
    options = _parse(arguments)
    names = {"config", *(row.name for row in SETTINGS)}
    flags = {name: value for name, value in vars(options).items() if name in names and value is not None}
    settings = load(flags, environ, needs_url=options.command not in {"policy", "trust"})
    _log_to_stderr(settings.log_level if options.command == "run" else "warning")
    hands = _hands(settings)
    try:
        return COMMANDS[options.command][0](settings, World(hands=hands), options)
    finally:
        hands.close()


def _hands(settings: Settings) -> InProcess | Split:
    here = InProcess(perform, jobs_dir=settings.state_dir / FOLDER)
    return Split(here, HelperSocket(Path(settings.helper_socket)).do) if settings.helper_socket else here


def _parse(arguments: list[str]) -> argparse.Namespace:
    options, unknown = build_parser().parse_known_args(arguments)
    options.words = arguments[1:]
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
    if static_token(settings):
        raise SettingsError("This machine has a static token (NANNY_AGENT_TOKEN); take it away to register instead.")
    if not options.force:
        _refuse_second(store)
    tokens = _obtain(settings, world, store, options.name, options.helper_config)
    print(f"This machine is registered as {tokens.agent_id}.")
    print(f"Start the agent with: {_start()}")
    return 0


def _obtain(
    settings: Settings, world: World, store: TokenStore, name: str = "", helper_config: str | None = None
) -> TokenFile:
    with as_owner(settings.token_path.parent):
        store.rehearse()
    tokens = asyncio.run(_enrol(settings, world, name, helper_config))
    with as_owner(settings.token_path.parent):
        store.save(tokens)
    return tokens


def _obtain_unasked(settings: Settings, world: World) -> None:
    """Register a machine that has no identity yet, but a token that allows one."""
    store = TokenStore(settings.token_path)
    try:
        store.load()
    except NotRegistered:
        if static_token(settings) or not enrollment_token(settings):
            return  # the agent says what is to be done
        log.info("event=registered agent_id=%s", _obtain(settings, world, store).agent_id)


def _start() -> str:
    installed = any((folder / "nanny-agent.service").exists() for folder in UNITS)
    return "systemctl enable --now nanny-agent" if installed else "nanny-agent run"


def _refuse_second(store: TokenStore) -> None:
    with contextlib.suppress(NotRegistered):
        found = store.load()
        raise AlreadyRegistered(
            f"This machine is registered already, as {found.agent_id}; add --force to replace that identity."
        )


async def _enrol(settings: Settings, world: World, name: str, helper_config: str | None) -> TokenFile:
    token = enrollment_token(settings)
    facts = await world.hands.do(DescribeHost())
    client = make_client(settings, world)
    pinned = PinnedKeys(settings.state_dir / pinned_keys.NAME)

    async def learn(answer: TokenAnswer) -> None:
        with as_owner(settings.state_dir):
            pin(pinned, answer, world.now())
        print(*tell_helper(settings, helper_config, answer, world.now()), sep="\n", end="")

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
            client.tokens = Given(token)
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
    allocator.keep_small()
    told = replace(
        world, tell=partial(readiness.tell, environ=os.environ), watchdog=readiness.watchdog(os.environ, os.getpid())
    )
    _obtain_unasked(settings, told)
    asyncio.run(run_until_signal(settings, told))
    return 0


def _run_again(settings: Settings, world: World, options: argparse.Namespace) -> int:
    """Serve; a version on trial that fails is started again whatever the reason, for its starts are counted."""
    restart = Restart()
    ground = restart.ground(settings.state_dir, options.words)
    try:
        code = _serve(settings, replace(world, ground=ground), options)
    except NannyError as wrong:
        print(f"nanny-agent: {wrong.message}", file=sys.stderr)
        code = exit_code(wrong)
    return restart.end(code, os.environ)


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
        agent_id=agent_id_of(settings),
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


def _unregister(settings: Settings, world: World, options: argparse.Namespace) -> int:
    del world, options
    store = TokenStore(settings.token_path)
    agent_id = agent_id_of(settings)
    if static_token(settings):
        print("This machine has a static token (NANNY_AGENT_TOKEN or its _FILE); take the setting away, and")
        print("revoke it on the control plane with: nanny-ops token revoke")
    with as_owner(settings.token_path.parent):
        removed = store.remove()
    if not removed:
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
    "run": (_run_again, "Be the agent, until SIGTERM; with an enrolment token it registers first where it has to."),
    "status": (show_status, "Show how this agent stands; changes nothing and takes five seconds at most."),
    "policy": (show_policy, "Show what this machine's owner allows, or check whether it allows one order."),
    "collect": (_collect, "Print one reading as JSON without sending it."),
    "self-test": (self_test, "Say whether this version could be the agent here; changes nothing."),
    "trust": (
        trust,
        "Show the signing keys that this agent was told, or have the privileged helper go by some of them.",
    ),
    "unregister": (_unregister, "Remove this machine's identity."),
}
