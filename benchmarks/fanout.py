"""How soon an order reaches its agent while many listen, and what many listeners cost the intake of metrics.

Starts ``nanny-ops serve`` on a temporary directory and opens one subscribed stream per agent, each order for another
agent. The instant before an order is sent is compared with that at which its bytes arrive on the stream. Client and
server share the machine's cores; the server's CPU is told beside the clock's time, since only that is free of others.
"""

import argparse
import asyncio
import gc
import json
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from benchmarks._figures import Figure, show
from benchmarks._plane import EMAIL, Enrolled, Plane, control_plane
from benchmarks._process import cpu_seconds
from benchmarks._wire import Connection, Stream, request
from benchmarks.ingest import SENDERS, drive

#: Kept connections on which agents enrol and subscribe, and on which a burst is ordered.
CLIENTS, ORDERERS = 16, 32
#: Orders that are not counted, after which the server has made its statements.
WARM_UP = 30
#: Seconds that the last order of a burst may take to arrive.
ARRIVAL = 60.0


@dataclass
class Listener:
    """One agent, and the instants at which records came to it."""

    agent: Enrolled
    heard: list[float] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    stream: Stream | None = None

    def hear(self, instant: float, count: int) -> None:
        """Note what has come."""
        self.heard += [instant] * count
        self.more.set()


class Fleet:
    """All listeners of one control plane, and the person who orders."""

    def __init__(self, plane: Plane) -> None:
        """Sign in."""
        self.plane = plane
        host, port = plane.url.removeprefix("http://").split(":")
        self.host, self.port = host, int(port)
        with httpx.Client(base_url=plane.url, timeout=30) as client:
            said = client.post("/api/auth/login", json={"email": EMAIL, "password": plane.password})
            self.person: str = said.raise_for_status().json()["access_token"]
        self.listeners: list[Listener] = []

    async def enrol(self, count: int) -> list[Enrolled]:
        """Let agents in by one enrolment token."""
        made = await self._each([{"name": "bench", "max_uses": count}], "/api/enrollment-tokens", self.person, 201)
        bodies = [
            {
                "action": "register-with-token",
                "hostname": f"bench-{number:05}",
                "platform": "debian",
                "platform_family": "debian",
                "version": "0.1.0",
            }
            for number in range(count)
        ]
        answers = await self._each(bodies, "/api/auth", json.loads(made[0])["token"], 200)
        return [Enrolled(said["agent_id"], said["access_token"], said) for said in map(json.loads, answers)]

    async def listen(self, agents: Sequence[Enrolled]) -> None:
        """Open and subscribe a stream for each."""
        new = [Listener(agent) for agent in agents]
        for start in range(0, len(new), CLIENTS * 4):
            await asyncio.gather(*(self._open(one) for one in new[start : start + CLIENTS * 4]))
        self.listeners += new

    async def _open(self, listener: Listener) -> None:
        loop = asyncio.get_running_loop()
        transport, stream = await loop.create_connection(lambda: Stream(listener.hear), self.host, self.port)
        listener.stream = stream
        transport.write(request("GET", "/api/realtime", self.host, listener.agent.token))
        client_id = await asyncio.wait_for(stream.greeted, ARRIVAL)
        connection = Connection(self.host, self.port)
        body = {"clientId": client_id, "subscriptions": ["investigations", "patch_operations"]}
        status, said = await connection.ask("POST", "/api/realtime", body, listener.agent.token)
        connection.close()
        if status != 204:
            raise SystemExit(f"subscribe: {status} {said[:300]!r}")

    async def _each(self, bodies: Sequence[object], path: str, token: str, wanted: int) -> list[bytes]:
        """Send all bodies over a few connections; SystemExit at the first other answer."""
        answers: list[bytes] = [b""] * len(bodies)
        waiting = list(enumerate(bodies))[::-1]

        async def work(connection: Connection) -> None:
            while waiting:
                place, body = waiting.pop()
                status, answers[place] = await connection.ask("POST", path, body, token)
                if status != wanted:
                    raise SystemExit(f"POST {path}: {status} {answers[place][:300]!r}")
            connection.close()

        await asyncio.gather(*(work(Connection(self.host, self.port)) for _ in range(min(CLIENTS, len(bodies)))))
        return answers

    async def order(self, connection: Connection, listener: Listener) -> float:
        """Order a dry run and return the instant before it."""
        body = {"agent_id": listener.agent.agent_id, "mode": "dry-run"}
        began = time.perf_counter()
        status, said = await connection.ask("POST", "/api/patches", body, self.person)
        if status != 201:
            raise SystemExit(f"POST /api/patches: {status} {said[:300]!r}")
        return began

    def close(self) -> None:
        """Close every stream; SystemExit where one did not stay open."""
        lost = sum(1 for one in self.listeners if one.stream is None or one.stream.closed)
        for one in self.listeners:
            if one.stream is not None and one.stream.transport is not None:
                one.stream.transport.close()
        if lost:
            raise SystemExit(f"{lost} of {len(self.listeners)} streams did not stay open")


async def sequence(fleet: Fleet, count: int) -> list[Figure]:
    """Order one after the other, each for another agent, and wait for each to arrive."""
    connection, took = Connection(fleet.host, fleet.port), []
    for listener in fleet.listeners[-WARM_UP:]:
        await fleet.order(connection, listener)
        await asyncio.wait_for(_arrived(listener, 1), ARRIVAL)
        listener.heard.clear()
    before = cpu_seconds(fleet.plane.pid)
    for listener in fleet.listeners[:count]:
        began = await fleet.order(connection, listener)
        await asyncio.wait_for(_arrived(listener, 1), ARRIVAL)
        took.append((listener.heard[0] - began) * 1000)
    spent = cpu_seconds(fleet.plane.pid) - before
    connection.close()
    return [
        Figure("in sequence, median", statistics.median(took), "ms"),
        Figure("in sequence, 99 of 100", part(took, 0.99), "ms", 10),
        Figure("in sequence, server CPU per order", spent / len(took) * 1000, "ms"),
    ]


async def burst(fleet: Fleet, rounds: int) -> list[Figure]:
    """Order for every agent at once, ``rounds`` times, and wait until the last order has arrived."""
    began: dict[int, list[float]] = {place: [] for place in range(len(fleet.listeners))}
    already = [len(listener.heard) for listener in fleet.listeners]
    waiting = [place for place in range(len(fleet.listeners)) for _ in range(rounds)]

    async def work(connection: Connection) -> None:
        while waiting:
            place = waiting.pop()
            began[place].append(await fleet.order(connection, fleet.listeners[place]))
        connection.close()

    count, start, before = len(waiting), time.perf_counter(), cpu_seconds(fleet.plane.pid)
    await asyncio.gather(*(work(Connection(fleet.host, fleet.port)) for _ in range(ORDERERS)))
    ends = [_arrived(listener, seen + rounds) for listener, seen in zip(fleet.listeners, already, strict=True)]
    await asyncio.wait_for(asyncio.gather(*ends), ARRIVAL)
    spent = cpu_seconds(fleet.plane.pid) - before
    took, last = [], start
    for place, listener in enumerate(fleet.listeners):
        heard = listener.heard[already[place] :]
        last = max(last, *heard)
        took += [(end - begin) * 1000 for begin, end in zip(sorted(began[place]), heard, strict=True)]
    return [
        Figure("burst, orders received", count / (last - start), "1/s", 600, at_least=True),
        Figure("burst, 99 of 100", part(took, 0.99), "ms", 1000),
        Figure("burst, server CPU per order", spent / count * 1000, "ms"),
    ]


async def _arrived(listener: Listener, count: int) -> None:
    while len(listener.heard) < count:
        listener.more.clear()
        await listener.more.wait()


def part(values: Sequence[float], share: float) -> float:
    """Return the value that this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def intake(fleet: Fleet, agents: list[Enrolled], streams: int, seconds: int) -> list[Figure]:
    """Measure the intake of metrics without streams and with them, twice each in turn; the better of each counts."""
    alone, among = [], []
    senders = agents[:SENDERS]
    await asyncio.to_thread(drive, fleet.plane, senders, 3)
    for _ in range(2):
        alone.append(await _drive(fleet, senders, seconds))
        await fleet.listen(agents[:streams])
        among.append(await _drive(fleet, senders, seconds))
        fleet.close()
        fleet.listeners.clear()
        await asyncio.sleep(2)
    (rate, cpu), (rate_among, cpu_among) = max(alone), max(among)
    return [
        Figure("requests without streams", rate, "1/s"),
        Figure(f"requests with {streams} streams", rate_among, "1/s"),
        Figure("share that is left", rate_among / rate * 100, "%", 80, at_least=True),
        Figure("server CPU per 1,000 requests, alone", cpu, "s"),
        Figure("the same with streams", cpu_among, "s"),
    ]


async def _drive(fleet: Fleet, senders: list[Enrolled], seconds: int) -> tuple[float, float]:
    before = cpu_seconds(fleet.plane.pid)
    found = await asyncio.to_thread(drive, fleet.plane, senders, seconds)
    spent = cpu_seconds(fleet.plane.pid) - before
    return found["requests"] / found["seconds"], spent / found["requests"] * 1000


async def measure(plane: Plane, wanted: argparse.Namespace) -> list[Figure]:
    """Measure orders first, then the intake."""
    fleet = Fleet(plane)
    agents = await fleet.enrol(max(wanted.streams, wanted.intake_streams, SENDERS))
    await fleet.listen(agents[: wanted.streams])
    gc.collect()
    gc.freeze()  # the client's own pauses are not the server's
    figures = await sequence(fleet, min(wanted.orders, wanted.streams))
    figures += await burst(fleet, wanted.rounds)
    fleet.close()
    fleet.listeners.clear()
    if wanted.intake_streams:
        await asyncio.sleep(2)
        figures += await intake(fleet, agents, wanted.intake_streams, wanted.seconds)
    return figures


def main() -> int:
    """Measure and print; return 1 when a figure misses its budget."""
    arguments = argparse.ArgumentParser(prog="./run bench fanout", description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--streams", type=int, default=1000, help="agents that listen while orders are placed")
    arguments.add_argument("--orders", type=int, default=500, help="orders one after the other")
    arguments.add_argument("--rounds", type=int, default=3, help="orders for each agent in the burst")
    arguments.add_argument("--intake-streams", type=int, default=3000, help="streams beside the intake, or 0")
    arguments.add_argument("--seconds", type=int, default=10, help="how long each of four drives of the intake lasts")
    arguments.add_argument("--json", action="store_true")
    wanted = arguments.parse_args()
    if wanted.intake_streams and shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed; ./run setup installs it")
    # Each stream is a descriptor on both sides; the server inherits this limit.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with control_plane() as plane:
        figures = asyncio.run(measure(plane, wanted))
    return show(figures, wanted.json)


if __name__ == "__main__":
    sys.exit(main())
