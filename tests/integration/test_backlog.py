"""An agent's courier against a control plane with its limits on, over real HTTP; only the clock is a fake."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from nanny_ops.agent.client import ApiClient
from nanny_ops.agent.courier import PACE, Courier
from nanny_ops.agent.spool import Reading, Spool
from nanny_ops.control.api.state import State
from nanny_ops.control.app import create_app
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import metrics
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Tx
from nanny_ops.protocol.clock import micros, stamp
from tests.integration.control.guide import LXC, METRICS

AGENT = "agent-1"
START = 30


@dataclass
class Clock:
    """The same time for both sides; it stands still between two steps."""

    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.time

    def step(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Plane:
    """A control plane that listens on a port of this machine."""

    url: str
    state: State
    clock: Clock
    token: str

    def taken(self) -> set[str]:
        """Return the instants of all readings that are stored."""
        found, total = self.state.database.read_now(
            lambda tx: metrics.page(tx, AGENT, {teams.DEFAULT}, (None, None), 100_000, 0)
        )
        assert len(found) == total
        return {json.loads(one.body)["timestamp"] for one in found}


class Access:
    """Hands out a token that is good for an hour."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def access(self) -> str:
        return self._plane.token

    async def renew(self, _stale: str) -> str:
        return self._plane.token


class Counting(httpx.AsyncHTTPTransport):
    """The network, with a count of answers."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: Counter[int] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        self.answers[answer.status_code] += 1
        return answer


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    app = create_app(Settings(data_dir=tmp_path / "control", rate_limits="on"))
    state: State = app.state.control
    clock = Clock()
    state.clock = clock
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + START
        while not server.started or state.phase != "ready":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        state.database.write_now(lambda tx: _enrol(tx, clock()))
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Plane(
            f"http://127.0.0.1:{port}", state, clock, state.sessions.keyring.access_token(AGENT, "agent", clock())
        )
    finally:
        server.should_exit = True
        thread.join(START)


def _enrol(tx: Tx, now: datetime) -> None:
    agent = agents.Agent(
        AGENT, teams.DEFAULT, "pve1", "debian", "debian", "1", "192.0.2.1", "6.8", "linux", [], "active", micros(now)
    )
    agents.add(tx, agent)


@asynccontextmanager
async def courier_of(plane: Plane, path: Path) -> AsyncIterator[tuple[Courier, Spool, Counting]]:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    network = Counting()
    client = ApiClient(plane.url, transport=network, sleep=sleep, random=lambda: 0.5)
    client.tokens = Access(plane)
    spool = Spool(path, cap=20_000)
    try:
        yield Courier(client, spool, now=plane.clock), spool, network
    finally:
        spool.close()
        await client.close()
        assert not waited, "a 429 is not waited out where it holds up everything else"


def reading(at: datetime) -> Reading:
    body = {**METRICS, "agent_id": AGENT, "timestamp": stamp(at)}
    return Reading(path="/api/agent", body=json.dumps(body).encode())


def guest(vmid: int, **fields: Any) -> Reading:
    body = {**LXC, "vmid": vmid, "lxc_id": f"lxc/{vmid}", **fields}
    return Reading(path="/api/proxmox/lxc", body=json.dumps(body).encode(), subject=f"lxc/{vmid}")


@pytest.mark.rows("G0-RL-01", "G0-RL-02")
def test_a_long_outage_is_made_up_without_one_refusal(plane: Plane, tmp_path: Path) -> None:
    """Eight hours: 960 readings and 40 guests wait; the agent goes on with what is fresh. 21 minutes suffice."""
    began = plane.clock()
    missed = [reading(began - timedelta(seconds=30 * number)) for number in range(960, 0, -1)]
    fresh: list[Reading] = []

    async def run() -> Counter[int]:
        async with courier_of(plane, tmp_path / "spool.db") as (courier, spool, network):
            spool.keep(missed)
            spool.keep([guest(vmid) for vmid in range(100, 140)])
            while spool.oldest(1):
                if len(fresh) * 30 <= (plane.clock() - began).total_seconds():
                    fresh.append(reading(plane.clock()))
                    await courier.send(fresh[-1:])
                await courier.drain()
                plane.clock.step(PACE)
                assert plane.clock() - began < timedelta(minutes=22)
            return network.answers

    assert asyncio.run(run()) == {200: 1000 + len(fresh)}
    assert len(fresh) >= 40
    assert plane.taken() == {json.loads(one.body)["timestamp"] for one in missed + fresh}


@pytest.mark.rows("G0-RL-01", "G0-RL-02", "G0-RL-05")
def test_an_agent_that_asks_too_often_loses_nothing(plane: Plane, tmp_path: Path) -> None:
    """A reading every five seconds and a guest every thirty, for ten minutes: late, but all of it arrives."""
    said: list[Reading] = []

    async def run() -> Counter[int]:
        async with courier_of(plane, tmp_path / "spool.db") as (courier, spool, network):
            for second in range(0, 600, 5):
                said.append(reading(plane.clock()))
                guests = [guest(100), guest(101, uptime=second)] if second % 30 == 0 else []
                await courier.send([said[-1], *guests])
                if second % PACE == 0:
                    await courier.drain()
                plane.clock.step(5)
            for _ in range(60):
                await courier.drain()
                plane.clock.step(PACE)
            assert not spool.oldest(1)
            return network.answers

    answers = asyncio.run(run())
    assert set(answers) == {200, 429}
    assert answers[429] <= 10 + 5, "one a minute for the host, one in five minutes for the guest"
    assert plane.taken() == {json.loads(one.body)["timestamp"] for one in said}
