"""One play: an installation of a control plane and an agent, an order or two, and what must be true in the end."""

import asyncio
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
from sqlalchemy import func, select

from nanny_ops.agent.enrollment import TokenStore, to_file
from nanny_ops.agent.trust import pin
from nanny_ops.control.services import user as users
from nanny_ops.control.store import audit, duplicate
from nanny_ops.control.store import event as events
from nanny_ops.control.store import operation as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.output import Outputs
from nanny_ops.control.store.tables import audit as audit_table
from nanny_ops.machine import pinned_keys
from nanny_ops.machine.pinned_keys import PinnedKeys
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.enrollment import TokenAnswer
from nanny_ops.protocol.operation import ENDED, Status
from tests.fakes.machine import Machine, printed
from tests.fakes.virtual_time import VirtualClock
from tests.integration.faults.plane import Plane
from tests.integration.faults.post import Post
from tests.integration.faults.wire import Network, client_of

PERSON = "operator@example.com"
#: Seconds after which what is not at its end is stuck: an order's expiry, its longest run, and the grace for a report.
PATIENCE = 4 * 3600
#: Seconds that the installation is watched after everything has ended: a question for open orders falls into them.
WATCHED = 70


@dataclass
class Ends:
    """What an order may come to in a class of schedules; by default it runs once and all is well."""

    outcomes: frozenset[str] = frozenset({"ok"})
    #: Whether it may have run although it counts as something else, for which the outcome must say why.
    unheard: frozenset[str] = frozenset()


@dataclass
class Scene:
    """What a schedule works with."""

    plane: Plane
    post: Post
    machine: Machine
    network: Network
    dice: random.Random
    person: str
    agent: str
    ends: Ends = field(default_factory=Ends)
    orders: list[str] = field(default_factory=list)
    #: Further machines with the same identity.
    clones: list[Post] = field(default_factory=list)
    #: Virtual seconds from the beginning until everything had ended.
    lasted: float = 0.0

    async def order(self, **fields: Any) -> str:
        """Place an order as a person's client does, again with the same key until it is answered; return its id."""
        body = {"agent_id": self.agent, "mode": "apply", "timeout_seconds": 600, **fields}
        key = f"order-{len(self.orders)}"
        while True:
            try:
                answer = await self._ask("/api/patches", body, {"Idempotency-Key": key})
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code != 503:
                break
            await asyncio.sleep(2)
        assert answer.status_code in {200, 201}, answer.text
        self.orders.append(answer.json()["id"])
        return self.orders[-1]

    async def flood(self, count: int) -> None:
        """Log events for the agent that mean nothing to it, in one commit."""
        payload = {"action": "update", "record": {"id": "nothing", "note": "x" * 50}}
        row = {"topic": "patch_operations", "subject": self.agent, "kind": "update", "payload": payload}

        def log(tx: Tx) -> None:
            for _ in range(count):
                events.log(tx, team_id="team-default", at=micros(self.plane.clock()), **row)

        await self.plane.state.database.write(log)

    async def _ask(self, path: str, body: Any, headers: dict[str, str]) -> httpx.Response:
        token = self.plane.state.sessions.keyring.access_token(self.person, "user", self.plane.clock())
        async with client_of(self.plane, token) as client:
            return await client.post(path, json=body, headers=headers)

    async def wait(self, longest: float) -> None:
        """Let a time pass that the dice say, in seconds."""
        await asyncio.sleep(self.dice.uniform(0, longest))

    async def until(self, holds: Callable[[], bool], what: str, patience: float = PATIENCE, every: float = 1.0) -> None:
        """Wait until something holds. Raises AssertionError after ``patience`` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while not holds():
            assert loop.time() < deadline, f"{what}: not after {patience} s; {self.tell()}"
            await asyncio.sleep(every)

    async def linked(self) -> None:
        """Wait until the agent listens."""
        await self.until(lambda: any(one.live for one in self._streams()), "the agent listens", every=0.25)

    def found(self, order: str) -> store.Operation:
        """Return an order as the control plane holds it."""
        operation = self.plane.read(lambda tx: store.find(tx, order))
        assert operation is not None
        return operation

    def is_duplicate(self) -> bool:
        """Tell whether people are told that two machines share the agent's identity."""
        now = micros(self.plane.clock())
        return bool(self.plane.read(lambda tx: duplicate.some(tx, [self.agent], now)))

    def settled(self) -> bool:
        """Tell whether every order has ended on both sides and nothing of it is left over."""
        if self.plane.app is None or any(Status(self.found(one).status) not in ENDED for one in self.orders):
            return False
        left = [post.counts() for post in (self.post, *self.clones)]
        open_yet = any(one.open_orders or one.undelivered_results or one.readings for one in left)
        return not open_yet and not self._jobs()

    async def check(self) -> None:
        """Wait for the end, watch for a while longer, and compare with what must be."""
        await self.until(self.settled, "everything has ended", every=10)
        self.lasted = asyncio.get_running_loop().time()
        await asyncio.gather(*self.network.stray)
        await asyncio.sleep(WATCHED)
        await self.until(self.settled, "it stays ended", WATCHED * 10, every=10)
        for order in self.orders:
            self._check_order(order)
        assert self.machine.most_at_once <= 1, "two orders ran on one target at a time"
        assert self.plane.read(audit.verify).wrong == ""
        assert self.plane.troubles + [one for post in (self.post, *self.clones) for one in post.troubles] == []

    def _check_order(self, order: str) -> None:
        found, runs = self.found(order), self.machine.runs[order]
        assert found.outcome in self.ends.outcomes, self.tell()
        assert runs == self.machine.ended[order] <= 1, f"{runs} runs; {self.tell()}"
        if found.outcome == "ok":
            assert (found.status, runs) == ("completed", 1), self.tell()
            assert self._output(found) == printed(order, self.machine.printed // 4) * 4, self.tell()
            assert (found.result or {})["package_count"] == 1
        elif found.outcome not in self.ends.unheard:
            assert runs == 0, f"it ran, and counts as {found.outcome}; {self.tell()}"
        ended = select(func.count()).where(audit_table.c.action == "patch.end", audit_table.c.object == order)
        assert self.plane.read(lambda tx: tx.connection.execute(ended).scalar_one()) == 1, "one end, told once"

    def tell(self) -> str:
        """Say how things stand, for a person who looks for what went wrong."""
        orders = [
            (one, found.status, found.outcome, found.reason) for one in self.orders for found in [self.found(one)]
        ]
        state = f"orders {orders}, runs {dict(self.machine.runs)}, spool {self.post.counts()}, jobs {self._jobs()}"
        steps = [f"agent: {self.post.life.steps[-30:]}", f"plane: {self.plane.life.steps[-30:]}"]
        return "\n".join([state, *steps, f"troubles: {self.plane.troubles + self.post.troubles}"])

    def clone(self) -> Post:
        """Copy the agent's machine as it is, jobs aside; the copy sleeps until it is started."""
        home = self.post.home.with_name(f"clone{len(self.clones)}-0")
        shutil.copytree(self.post.home, home, ignore=shutil.ignore_patterns("*-shm"))
        counted = {"runs": self.machine.runs, "ended": self.machine.ended}
        machine = Machine(home.with_name(f"{home.name}-jobs"), self.machine.clock, **counted)
        self.clones.append(Post(home, machine, self.network, self.dice))
        return self.clones[-1]

    def _streams(self) -> Any:
        return [] if self.plane.app is None else list(self.plane.state.streams._by_client.values())

    def _jobs(self) -> list[str]:
        machines = [post.machine for post in (self.post, *self.clones)]
        return [path.name for machine in machines for path in machine.jobs.glob("*")]

    def _output(self, operation: store.Operation) -> bytes:
        receipt = (operation.result or {})["receipt"]
        file = Outputs(self.plane.home).find(operation.id, receipt, "stdout")
        return b"" if file is None else file.read_bytes()


@dataclass(frozen=True)
class Cast:
    """An enrolled installation at rest, to be copied for each play."""

    home: Path
    person: str
    agent: str


async def enrol(home: Path) -> Cast:
    """Make an installation: a control plane with a person, and an agent that this person has let in."""
    plane = Plane(home / "plane", VirtualClock())
    await plane.start()
    hashed = users.hash_password("correct horse battery staple")
    person = plane.state.database.write_now(lambda tx: users.add(tx, PERSON, "operator", hashed, plane.clock()))
    async with client_of(plane, "") as client:
        claim = {"hostname": "node-1", "platform": "debian", "platform_family": "debian", "version": "13.1"}
        started = (await client.post("/api/auth", json={"action": "device-auth-start", "hostname": "node-1"})).json()
        token = plane.state.sessions.keyring.access_token(person.id, "user", plane.clock())
        allow = {"action": "authorize", "user_code": started["user_code"]}
        allowed = await client.post("/api/auth", json=allow, headers={"Authorization": f"Bearer {token}"})
        assert allowed.status_code == 200, allowed.text
        register = {"action": "register", "device_code": started["device_code"], **claim}
        given = (await client.post("/api/auth", json=register)).json()
    answer = msgspec.convert(given, TokenAnswer)
    TokenStore(home / "agent" / "token.json").save(to_file(answer, plane.clock()))
    pin(PinnedKeys(home / "agent" / pinned_keys.NAME), answer, plane.clock())
    await plane.bury()
    return Cast(home, person.id, answer.agent_id)


async def perform(cast: Cast, home: Path, schedule: Callable[[Scene], Any], seed: int) -> Scene:
    """Play one schedule on a copy of the installation, and check what came of it."""
    shutil.copytree(cast.home / "plane", home / "plane", ignore=shutil.ignore_patterns("*-shm"))
    shutil.copytree(cast.home / "agent", home / "agent")
    dice = random.Random(f"{schedule.__name__}-{seed}")
    plane, machine = Plane(home / "plane", VirtualClock()), Machine(home / "jobs", VirtualClock())
    network = Network(plane)
    post = Post(home / "agent", machine, network, dice)
    scene = Scene(plane, post, machine, network, dice, cast.person, cast.agent)
    try:
        await plane.start(rested=True)
        post.start()
        await schedule(scene)
        await scene.check()
    finally:
        for stray in network.stray:
            stray.cancel()
        for one in (post, *scene.clones):
            await one.bury()
            await one.machine.stop()
        await plane.bury()
    return scene
