"""Two machines of one cluster, and perhaps a clone of the first, in one play: what they run is kept in one ledger."""

import asyncio
import json
import random
import shutil
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from nanny_ops.agent import spool
from nanny_ops.agent.enrollment import TokenStore, to_file
from nanny_ops.agent.trust import pin
from nanny_ops.control.services import user as users
from nanny_ops.control.store import proxmox as inventory
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.proxmox_tables import clusters
from nanny_ops.machine import pinned_keys
from nanny_ops.machine.pinned_keys import PinnedKeys
from nanny_ops.protocol.enrollment import TokenAnswer
from tests.fakes.machine import Machine
from tests.fakes.virtual_time import VirtualClock
from tests.integration.faults.plane import Plane
from tests.integration.faults.post import Post
from tests.integration.faults.wire import FAIR, Network, Trouble, client_of

NAMES = ("one", "two")
#: The first one's identity on another machine.
CLONE = "clone"
FILES = (spool.NAME, f"{spool.NAME}-wal")


@dataclass
class Ledger:
    """What really ran, on whichever machine."""

    runs: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    running: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    overlaps: list[str] = field(default_factory=list)


@dataclass
class Node(Machine):
    """A machine that writes into the ledger; a guest's number means one guest on all of them."""

    name: str = ""
    ledger: Ledger = field(default_factory=Ledger)

    async def _script(self, home: Path) -> str:
        vmid = json.loads((home / "order.json").read_bytes())["vmid"]
        here = self.ledger.running[f"guest {vmid}" if vmid else f"host {self.name}"]
        self.ledger.runs[home.name] += 1
        here.add(home.name)
        if len(here) > 1:
            self.ledger.overlaps.append(" and ".join(sorted(here)))
        outcome = await super()._script(home)
        here.discard(home.name)
        self.ledger.ended[home.name] += 1
        return outcome


@dataclass
class Member:
    """One agent with its machine and its line; ``next`` holds what happens to its next requests of a name."""

    network: Network
    machine: Node
    post: Post
    cut_off: bool = False
    next: defaultdict[str, list[Trouble]] = field(default_factory=lambda: defaultdict(list))
    kept: Path | None = None

    def weather(self, name: str) -> Trouble:
        """Tell what happens to a request."""
        if self.cut_off:
            return Trouble(lost=True)
        waiting = self.next[name]
        return waiting.pop(0) if waiting else FAIR

    @property
    def alive(self) -> bool:
        """Tell whether its agent runs."""
        return not self.post.died.is_set()

    def keep_spool(self) -> None:
        """Take a copy of the spool as a backup does."""
        self.kept = self.post.home.with_name(f"{self.post.home.name}-kept")
        shutil.rmtree(self.kept, ignore_errors=True)
        self.kept.mkdir()
        self._copy(self.post.home, self.kept)

    def restore_spool(self) -> None:
        """Kill the agent and put the copy in the place of its spool."""
        assert self.kept is not None
        self.post.kill()
        for name in FILES:
            (self.post.home / name).unlink(missing_ok=True)
        self._copy(self.kept, self.post.home)
        self.post.start()

    def _copy(self, source: Path, place: Path) -> None:
        for name in FILES:
            if (source / name).exists():
                shutil.copy(source / name, place / name)


class Site:
    """The control plane and its agents."""

    def __init__(self, home: Path, person: str, agents: dict[str, str], length: float = 3.0) -> None:
        self.home, self.person, self.agents, self.length = home, person, agents, length
        self.plane, self.ledger = Plane(home / "plane", VirtualClock()), Ledger()
        self.members = {name: self.member(name) for name in NAMES}

    def member(self, name: str) -> Member:
        """Make one agent with everything of its own."""
        machine = Node(self.home / f"jobs-{name}", VirtualClock(), length=self.length, printed=400)
        machine.name, machine.ledger = name, self.ledger
        network = Network(self.plane)
        post = Post(self.home / f"agent{name}", machine, network, random.Random(name))
        made = Member(network, machine, post)
        network.weather = made.weather
        return made

    async def start(self) -> None:
        """Begin with everything in order."""
        await self.plane.start(rested=True)
        for member in self.members.values():
            member.post.start()

    def clone(self) -> None:
        """Let a copy of the first agent's disk, without its jobs, begin on another machine."""
        shutil.copytree(
            self.members["one"].post.home, self.home / f"agent{CLONE}", ignore=shutil.ignore_patterns("*-shm")
        )
        self.members[CLONE] = self.member(CLONE)
        self.members[CLONE].post.start()

    async def ask(self, path: str, body: dict[str, Any]) -> httpx.Response | None:
        """Ask as a person does; None when the control plane goes away meanwhile."""
        token = self.plane.state.sessions.keyring.access_token(self.person, "user", self.plane.clock())
        try:
            async with client_of(self.plane, token) as client:
                return await client.post(path, json=body)
        except httpx.TransportError:
            return None

    async def bury(self) -> None:
        """End everything and leave nothing open."""
        for member in self.members.values():
            for stray in member.network.stray:
                stray.cancel()
            await asyncio.gather(*member.network.stray, return_exceptions=True)
            await member.post.bury()
            await member.machine.stop()
        await self.plane.bury()


async def enrol(home: Path) -> tuple[str, dict[str, str]]:
    """Make an installation with two agents of one cluster; return the person's id, and the agents' by name."""
    plane = Plane(home / "plane", VirtualClock())
    await plane.start()
    hashed = users.hash_password("correct horse battery staple")
    person = plane.state.database.write_now(
        lambda tx: users.add(tx, "o@example.com", "operator", hashed, plane.clock())
    )
    given = {name: await _enrol(plane, person.id, home / f"agent{name}", name) for name in NAMES}
    plane.state.database.write_now(lambda tx: _join(tx, list(given.values())))
    await plane.bury()
    return person.id, given


async def _enrol(plane: Plane, person: str, home: Path, name: str) -> str:
    token = plane.state.sessions.keyring.access_token(person, "user", plane.clock())
    async with client_of(plane, token) as client:

        async def say(**body: Any) -> Any:
            answer = await client.post("/api/auth", json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()

        started = await say(action="device-auth-start", hostname=name)
        await say(action="authorize", user_code=started["user_code"])
        facts = {"hostname": name, "platform": "debian", "platform_family": "debian", "version": "13.1"}
        given = await say(action="register", device_code=started["device_code"], **facts)
    answer = msgspec.convert(given, TokenAnswer)
    TokenStore(home / "token.json").save(to_file(answer, plane.clock()))
    pin(PinnedKeys(home / pinned_keys.NAME), answer, plane.clock())
    return answer.agent_id


def _join(tx: Tx, agents: list[str]) -> None:
    facts = {"cluster_id": "c", "cluster_name": "c", "nodes": 2, "quorate": 1, "version": 1, "body": {}}
    row = {**facts, "id": "cluster-1", "team_id": teams.DEFAULT, "reported_by": agents[0]}
    tx.connection.execute(clusters.insert().values(**row, created_at=0, updated_at=0))
    for agent in agents:
        inventory.join(tx, agent, "cluster-1")
