"""The daemon: wiring, one session per identity, and a quiet end."""

import asyncio
import logging
import random
import signal
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import nanny_ops
from nanny_ops.agent import lock, spool
from nanny_ops.agent import static_token as static_tokens
from nanny_ops.agent.backoff import STREAM_CAP, STREAM_FIRST, delay
from nanny_ops.agent.client import Answer, ApiClient
from nanny_ops.agent.collectors import COLLECTORS, Collector
from nanny_ops.agent.courier import PACE, Courier
from nanny_ops.agent.enrollment import PATH as AUTH_PATH
from nanny_ops.agent.enrollment import Tokens, TokenStore
from nanny_ops.agent.equipment import Equipment
from nanny_ops.agent.hands import Hands
from nanny_ops.agent.helper_socket import HelperSocket
from nanny_ops.agent.link import Link
from nanny_ops.agent.pulse import Pulse, feed
from nanny_ops.agent.scheduler import Scheduler, Tick, Ticking
from nanny_ops.agent.settings import Settings, static_token
from nanny_ops.agent.spool import Spool
from nanny_ops.agent.static_token import StaticToken
from nanny_ops.agent.tls import make_context
from nanny_ops.agent.trial import Ground, watch
from nanny_ops.agent.trust import Trust
from nanny_ops.agent.worker import Worker
from nanny_ops.errors import IdentityRefused, NannyError, SettingsError, SpoolError
from nanny_ops.machine import job, pinned_keys, policy, readiness
from nanny_ops.machine.pinned_keys import PinnedKeys
from nanny_ops.machine.procedure import access
from nanny_ops.machine.trusted_keys import read_local
from nanny_ops.machine.verbs import DescribeHost, HostFacts, LearnKeys, ProxmoxAccess
from nanny_ops.protocol.clock import now as utc_now
from nanny_ops.protocol.signature import SigningKey

log = logging.getLogger(__name__)
#: Seconds between two looks at the token file while a person is waited for.
WATCH = 5.0
DAY = 86_400
#: Seconds after which a silent loop counts as stuck: longer than its longest wait, with every retry.
STUCK = 900.0
#: How often within its time the watchdog is fed.
FEEDS = 4
#: The API of the node the agent runs on, and the authority that every cluster makes for itself.
LOCAL_PVE, LOCAL_CA = "https://127.0.0.1:8006", "pve-root-ca.pem"
#: Spreads waits over a fleet; nothing secret depends on it.
_spread = random.Random()  # noqa: S311


@dataclass(frozen=True, kw_only=True)
class World:
    """What the daemon takes from outside: replaced as a whole in tests."""

    hands: Hands
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = _spread.random
    transport: Any = None
    schedule: Callable[[list[Tick]], Ticking] = Scheduler
    open_spool: Callable[..., Spool] = Spool
    #: Says a word of :mod:`nanny_ops.machine.readiness` to systemd, which wants to hear one every so many seconds.
    tell: Callable[[str], object] = lambda _word: False
    watchdog: float = 0.0
    pulse: Pulse = field(default_factory=Pulse)
    ground: Ground = field(default_factory=Ground)


def make_client(settings: Settings, world: World) -> ApiClient:
    """Return a client for the control plane that carries no identity yet. Raises SettingsError."""
    try:
        context = make_context(settings.ca_file, settings.pin_sha256) if settings.url.startswith("https:") else None
    except (OSError, ssl.SSLError) as wrong:
        raise SettingsError(f"NANNY_AGENT_CA_FILE cannot be used: {wrong}") from wrong
    return ApiClient(
        settings.url,
        context=context,
        transport=world.transport,
        sleep=world.sleep,
        random=world.random,
        agent=f"nanny-agent/{nanny_ops.__version__}",
    )


def anonymous(client: ApiClient) -> Callable[[object], Awaitable[Answer]]:
    """Return how to ask the control plane for an identity."""

    async def post(body: object) -> Answer:
        return await client.request("POST", AUTH_PATH, body=body, auth=False)

    return post


def make_trust(settings: Settings, world: World, client: ApiClient, rules: policy.Policy) -> Trust:
    """Return what judges scripts: by the owner's file of keys, or by the pinned ones. Raises SettingsError."""
    return Trust(
        client=client,
        hands=world.hands,
        policy=rules,
        pinned=PinnedKeys(settings.state_dir / pinned_keys.NAME),
        local=read_local(settings.trusted_keys_file),
        now=world.now,
        teach=_teacher(settings.helper_socket),
    )


def _teacher(helper_socket: str) -> Callable[[list[SigningKey]], Awaitable[object]] | None:
    if not helper_socket:
        return None
    helper = HelperSocket(Path(helper_socket))
    return lambda told: helper.do(LearnKeys(keys=told))


def proxmox_access(settings: Settings, facts: HostFacts) -> ProxmoxAccess | None:
    """Return how to reach Proxmox VE; on a node the node itself is the default, without a token nothing is read."""
    url = settings.pve_url or (LOCAL_PVE if facts.proxmox else "")
    if not settings.pve_token or not url:
        if facts.proxmox:
            log.warning("event=proxmox_unread reason='NANNY_AGENT_PVE_TOKEN_FILE is not set'")
        return None
    own_ca = settings.pmxcfs_root / LOCAL_CA
    given = settings.pve_ca_file or settings.pve_fingerprint or settings.pve_url
    ca_file = settings.pve_ca_file or ("" if given or not own_ca.exists() else str(own_ca))
    return ProxmoxAccess(
        url=url,
        token=settings.pve_token,
        ca_file=ca_file,
        fingerprint=settings.pve_fingerprint,
        pmxcfs_root=str(settings.pmxcfs_root) if facts.proxmox and not settings.pve_url else "",
    )


def _open_proxmox_to_jobs(settings: Settings, facts: HostFacts) -> None:
    """Write down how jobs reach Proxmox VE where this process begins them; a helper does so by its own settings."""
    if settings.helper_socket:
        return
    found = proxmox_access(settings, facts) if settings.pve_token else None
    try:
        access.write(settings.state_dir / job.FOLDER, access.JobAccess(access=found) if found else None)
    except OSError as wrong:
        log.error("event=job_access_unwritten reason=%r", str(wrong))


async def serve(settings: Settings, world: World, stop: asyncio.Event) -> None:
    """Be the agent until ``stop`` is set. Raises NotRegistered, AlreadyRunning, SettingsError.

    A state directory that cannot be used, as on a disk that turned read-only, is waited for.
    """
    attempt = 0
    while not stop.is_set():
        try:
            await _serve(settings, world, stop)
        except SpoolError as wrong:
            world.tell(readiness.READY)
            wait = delay(attempt, world.random, first=STREAM_FIRST, cap=STREAM_CAP)
            log.error("event=state_unusable wait=%.1f reason=%r", wait, wrong.message)
            attempt += 1
            await _first(stop.wait(), world.sleep(wait))


async def _serve(settings: Settings, world: World, stop: asyncio.Event) -> None:
    with lock.hold(settings.state_dir):
        if not static_token(settings):
            TokenStore(settings.token_path).load()
        kept = world.open_spool(settings.state_dir / spool.NAME, cap=settings.spool_metrics_cap)
        try:
            facts = await world.hands.do(DescribeHost())
            _open_proxmox_to_jobs(settings, facts)
            world.tell(readiness.READY)
            while not stop.is_set():
                await _one_identity(settings, world, kept, facts, stop)
        finally:
            kept.close()


async def _one_identity(settings: Settings, world: World, kept: Spool, facts: HostFacts, stop: asyncio.Event) -> None:
    static = make_static(settings, world) if static_token(settings) else None
    identity: Tokens | StaticToken | None = static
    try:
        if static is not None and not static.agent_id and not await _introduced(static, world, stop):
            return
        session = _Session(settings, world, kept, facts, static)
        identity = session.tokens
        refused = "" if not await session.run(stop) else "the control plane refuses it"
    except IdentityRefused as wrong:
        refused = wrong.message
    if refused and identity is not None:
        action = "run nanny-agent register --force" if static is None else "give it another static token"
        log.error(
            "event=identity_refused agent_id=%s reason=%r action='%s; nothing is sent until then'",
            identity.agent_id or "unknown",
            refused,
            action,
        )
        await _another_identity(identity, world, stop)


def make_static(settings: Settings, world: World) -> StaticToken:
    """Return the static token that the settings give. Raises SettingsError."""
    return StaticToken(
        lambda: static_token(settings),
        lambda token: static_tokens.ask(make_client(settings, world), token),
        settings.state_dir / static_tokens.NAME,
        world.now,
    )


async def _introduced(static: StaticToken, world: World, stop: asyncio.Event) -> bool:
    """Ask for whom a static token speaks until there is an answer; False when stopped. Raises IdentityRefused."""
    attempt = 0
    while not stop.is_set():
        try:
            await static.identify()
        except IdentityRefused:
            raise
        except NannyError as wrong:
            wait = delay(attempt, world.random, first=STREAM_FIRST, cap=STREAM_CAP)
            log.warning("event=identity_unknown wait=%.1f reason=%r", wait, wrong.message)
            attempt += 1
            await _first(stop.wait(), world.sleep(wait))
        else:
            return True
    return False


async def _another_identity(refused: Tokens | StaticToken, world: World, stop: asyncio.Event) -> None:
    """Wait without a word until a person has given this machine another identity, perhaps under the same name."""
    mark = refused.mark
    while not stop.is_set():
        await _first(stop.wait(), world.sleep(WATCH))
        found = refused.peek()
        if found is not None and found != mark:
            log.info("event=identity_replaced agent_id=%s", found[0] or "unknown")
            return


class _Session:
    """Everything that lives as long as one identity is good."""

    def __init__(
        self, settings: Settings, world: World, kept: Spool, facts: HostFacts, static: StaticToken | None
    ) -> None:
        self._client = make_client(settings, world)
        policy_file = policy.find(settings.policy_file)
        rules = policy.load(policy_file)
        trust = make_trust(settings, world, self._client, rules)
        tokens: Tokens | StaticToken
        if static is None:
            tokens = Tokens(TokenStore(settings.token_path), anonymous(self._client), world.now, trust.learn)
        else:
            static.hear(trust.learn)
            tokens = static
        self._client.tokens = self.tokens = tokens
        trust.refresh = self._refresh
        equipment = Equipment(
            client=self._client,
            hands=world.hands,
            agent_id=tokens.agent_id,
            now=world.now,
            sleep=world.sleep,
            policy=rules,
            policy_file=policy_file,
            trust=trust,
            proxmox=proxmox_access(settings, facts),
            ground=world.ground,
        )
        self._trial = partial(watch, world.hands, world.ground, self._client.heard, world.sleep)
        self._worker = Worker(equipment, kept)
        self._courier = Courier(self._client, kept, now=world.now)
        self._link = Link(
            self._client,
            self._worker.submit,
            tokens.agent_id,
            sleep=world.sleep,
            random=world.random,
            caught_up=self._worker.resume,
            alive=world.pulse.expect("link", STUCK),
        )
        self._pulse, self._ticked = world.pulse, world.pulse.expect("scheduler", STUCK)
        self._scheduler = world.schedule(self._ticks(settings, equipment))
        log.info("event=started agent_id=%s url=%s version=%s", tokens.agent_id, settings.url, nanny_ops.__version__)

    def _ticks(self, settings: Settings, equipment: Equipment) -> list[Tick]:
        ticks = [
            Tick(name=one.name, seconds=getattr(settings, one.interval), run=self._reading(one(equipment)))
            for one in COLLECTORS
        ]
        return [
            *ticks,
            Tick(name="drain", seconds=PACE, run=self._drain, at_once=False),
            Tick(name="pull", seconds=settings.pull_interval, run=self._link.pull, at_once=False),
            Tick(name="resume", seconds=settings.pull_interval, run=self._resume, at_once=False),
            Tick(name="prune", seconds=DAY, run=self._prune),
        ]

    def _reading(self, collector: Collector) -> Callable[[], Awaitable[None]]:
        async def tick() -> None:
            try:
                readings = await collector.deliver(await collector.collect())
            except NannyError as wrong:
                log.warning("event=reading_failed collector=%s reason=%r", collector.name, wrong.message)
                return
            if readings:
                self._courier.put(readings)

        return tick

    async def _drain(self) -> None:
        await self._courier.drain()
        self._ticked()

    async def _refresh(self) -> None:
        await self.tokens.renew(await self.tokens.access())

    async def _resume(self) -> None:
        try:
            self._worker.resume()
        except SpoolError as wrong:
            log.error("event=orders_unread reason=%r", wrong.message)

    async def _prune(self) -> None:
        try:
            await self._worker.prune()
        except NannyError as wrong:
            log.warning("event=not_pruned reason=%r", wrong.message)

    async def run(self, stop: asyncio.Event) -> bool:
        """Work until stopped; True when the control plane refused the identity for good."""
        loops = [asyncio.create_task(self._link.run()), asyncio.create_task(self._courier.run())]
        trial = asyncio.create_task(self._trial(), name="trial")
        try:
            self._scheduler.start()
            self._worker.resume()
            await _first(stop.wait(), self._client.refused.wait(), *loops)
        finally:
            self._pulse.rest()
            self._scheduler.stop()
            await _cancel([*loops, trial])
            self._courier.close()
            await self._worker.close()
            await self._client.close()
        return self._client.refused.is_set() and not stop.is_set()


async def _first(*waits: Awaitable[object]) -> None:
    """Wait for the first to end, let go of the others, and raise what it raised."""
    tasks = [asyncio.ensure_future(one) for one in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _cancel(tasks)
    for task in done:
        task.result()


async def _cancel(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def run_until_signal(settings: Settings, world: World) -> None:
    """Serve until SIGTERM or SIGINT, and tell systemd how it goes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    feeding = asyncio.create_task(_feed(world), name="watchdog")
    try:
        await serve(settings, world, stop)
    finally:
        world.tell(readiness.STOPPING)
        await _cancel([feeding])
    log.info("event=stopped")


async def _feed(world: World) -> None:
    if world.watchdog:
        await feed(world.pulse, lambda: world.tell(readiness.ALIVE), world.watchdog / FEEDS)
