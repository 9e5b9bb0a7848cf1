"""A fleet after a day without its control plane: it comes back in minutes, is refused nothing and loses nothing."""

import asyncio
import json
import random
import resource
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import func, select

from nanny_ops.agent.client import ApiClient
from nanny_ops.agent.courier import PACE, Courier
from nanny_ops.agent.link import Link
from nanny_ops.agent.spool import Reading, Spool
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import metrics
from nanny_ops.protocol.clock import micros, stamp
from tests.fakes.life import Life
from tests.fakes.virtual_time import VirtualClock, play
from tests.integration.control.guide import METRICS
from tests.integration.faults.plane import Plane
from tests.integration.faults.test_schedules import in_memory
from tests.integration.faults.wire import Network

AGENTS = 500
#: A day's readings, fewer than an agent makes so that the play stays short, and seconds between fresh ones.
KEPT, FRESH = 16, 30
#: Seconds for which the agents knock in vain, and within which all is made up for.
AWAY, MADE_UP = 180, 240
#: Requests that may arrive within one second. Eight readings in ten seconds from each agent are 400, as the day lasts.
PEAK = 600


@dataclass
class Watched(httpx.AsyncBaseTransport):
    """A line that counts what is answered, and when requests arrive."""

    line: httpx.AsyncBaseTransport
    answers: Counter[int] = field(default_factory=Counter)
    arrivals: Counter[int] = field(default_factory=Counter)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self.line.handle_async_request(request)
        self.answers[answer.status_code] += 1
        self.arrivals[int(asyncio.get_running_loop().time())] += 1
        return answer


@dataclass(frozen=True)
class Known:
    """A token that is good."""

    token: str

    async def access(self) -> str:
        return self.token

    async def renew(self, _stale: str) -> str:
        raise AssertionError("it is good for an hour")


class Member:
    """One agent's way to the control plane: stream, readings, and what it has kept."""

    def __init__(self, name: str, home: Path, watched: Watched, token: str, dice: random.Random) -> None:
        self.name, self.dice, self.made = name, dice, 0
        self.clock, self.spool = VirtualClock(), Spool(home / f"{name}.db", cap=20_000)
        self.client = ApiClient("http://127.0.0.1:8000", transport=watched, sleep=asyncio.sleep, random=dice.random)
        self.client.tokens = Known(token)
        self.courier = Courier(self.client, self.spool, now=self.clock)
        self.link = Link(self.client, _ignore, name, sleep=asyncio.sleep, random=dice.random)

    def fill(self) -> None:
        """Keep a reading for each part of the day that has passed."""
        self.spool.keep([self.reading(timedelta(days=1) * part / KEPT) for part in range(KEPT, 0, -1)])

    def reading(self, ago: timedelta = timedelta(0)) -> Reading:
        self.made += 1
        body = {**METRICS, "agent_id": self.name, "timestamp": stamp(self.clock() - ago)}
        return Reading(path="/api/agent", body=json.dumps(body).encode())

    async def live(self) -> None:
        """Listen, drain and report, each at a pace of its own as the agent's scheduler has it."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self.link.run())
            loops.create_task(self._every(PACE, self.courier.drain))
            loops.create_task(self._every(FRESH, self._report))

    async def _report(self) -> None:
        await self.courier.send([self.reading()])

    async def _every(self, seconds: float, act: Any) -> None:
        await asyncio.sleep(self.dice.uniform(0, seconds))
        while True:
            await act()
            await asyncio.sleep(seconds)

    async def close(self) -> None:
        self.spool.close()
        await self.client.close()


def _ignore(_topic: str, _action: str, _record: dict[str, Any]) -> None:
    """Take no orders: there are none."""


@contextmanager
def many_files() -> Iterator[None]:
    """Let this process hold three files open for each spool."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * AGENTS + 500)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.timeout(300)
@pytest.mark.rows("G0-RL-01", "F10")
def test_a_fleet_comes_back_after_a_day_without_one_refusal() -> None:
    with many_files(), tempfile.TemporaryDirectory(dir=in_memory()) as home, structlog.testing.capture_logs():
        watched, made, stored = play(lambda: outage(Path(home)))
    assert set(watched.answers) <= {200, 204}, watched.answers
    assert stored == made
    assert max(watched.arrivals.values()) <= PEAK, watched.arrivals.most_common(5)


async def outage(home: Path) -> tuple[Watched, int, int]:
    """Play it; return what was answered, how many readings were made, and how many arrived."""
    plane = Plane(home / "plane", VirtualClock())
    await plane.start()
    names = [f"agent-{number}" for number in range(AGENTS)]
    plane.state.database.write_now(lambda tx: _enrol(tx, names, plane.clock()))
    keyring = plane.state.sessions.keyring
    watched = Watched(Network(plane).line(Life(lambda: None)))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(plane.bury)
        members = []
        for name in names:
            token = keyring.access_token(name, "agent", plane.clock())
            members.append(Member(name, home, watched, token, random.Random(name)))
            stack.push_async_callback(members[-1].close)
            members[-1].fill()
        plane.kill()
        lives = [asyncio.create_task(member.live()) for member in members]
        try:
            await asyncio.sleep(AWAY)
            await plane.start()
            async with asyncio.timeout(MADE_UP):
                while any(member.spool.oldest(1) for member in members):
                    await asyncio.sleep(5)
                while sum(stream.live for stream in plane.state.streams._by_client.values()) < AGENTS:
                    await asyncio.sleep(5)
        finally:
            for life in lives:
                life.cancel()
            await asyncio.gather(*lives, return_exceptions=True)
        left = sum(len(member.spool.oldest(100)) for member in members)
        stored = plane.read(lambda tx: tx.connection.execute(select(func.count()).select_from(metrics)).scalar_one())
        return watched, sum(member.made for member in members), stored + left


def _enrol(tx: Tx, names: list[str], now: Any) -> None:
    for name in names:
        shown = ("debian", "debian", "13.1", "192.0.2.1", "6.12", "linux", [])
        agents.add(tx, agents.Agent(name, teams.DEFAULT, name, *shown, "active", micros(now)))
