"""The courier: fresh readings at once, kept ones later, none lost before the cap."""

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.agent import courier as module
from nanny_ops.agent.courier import Courier
from nanny_ops.agent.spool import Reading, Spool
from nanny_ops.errors import DiskFull, SpoolError
from nanny_ops.protocol.clock import stamp
from tests.fakes.control_plane import NOON, FakeControlPlane, make_client, refuse


def metric(number: int) -> Reading:
    return Reading(path="/api/agent", body=b"%d" % number)


def made(at: datetime) -> Reading:
    return Reading(path="/api/agent", body=b'{"timestamp":"%b"}' % stamp(at).encode())


def state(number: int, body: bytes) -> Reading:
    return Reading(path="/api/proxmox/lxc", body=body, subject=f"lxc/{number}")


class Post:
    """A courier with its ways and places."""

    def __init__(self, tmp_path: Path, cap: int = 100) -> None:
        self.plane, self.spool = FakeControlPlane(), Spool(tmp_path / "s.db", cap=cap)
        self.time = NOON

    def run(self, work: Any) -> None:
        async def go() -> None:
            client = make_client(self.plane)
            await work(Courier(client, self.spool, now=lambda: self.time))
            await client.close()

        asyncio.run(go())

    def wait(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def limit(self, *bodies: bytes, wait: int | None = 20) -> None:
        """Answer 429 to these bodies, or to all."""
        headers = {} if wait is None else {"Retry-After": str(wait)}

        def rule(request: httpx.Request) -> httpx.Response | None:
            return refuse(429, "rate_limited", **headers) if not bodies or request.content in bodies else None

        self.plane.rules.append(rule)

    def away(self, status: int = 503) -> None:
        self.plane.rules.append(lambda _request: refuse(status))

    @property
    def arrived(self) -> list[Any]:
        return [body for _, body in self.plane.readings]

    @property
    def kept(self) -> list[bytes]:
        return [one.body for one in self.spool.oldest(1000)]


@pytest.fixture
def post(tmp_path: Path) -> Any:
    made = Post(tmp_path)
    yield made
    made.spool.close()


def test_a_fresh_reading_goes_straight_out(post: Post) -> None:
    post.run(lambda courier: courier.send([metric(1)]))
    assert (post.arrived, post.kept) == ([1], [])


def test_readings_wait_while_the_control_plane_is_away_and_follow_oldest_first(post: Post) -> None:
    post.away()

    async def work(courier: Courier) -> None:
        for number in range(20):
            await courier.send([metric(number)])
        assert len(post.kept) == 20
        await courier.drain()
        assert len(post.kept) == 20
        post.plane.rules.clear()
        await courier.send([metric(99)])
        assert post.arrived == [99]
        await courier.drain()
        assert post.arrived == [99, *range(module.ROUND)]
        await courier.drain()
        await courier.drain()

    post.run(work)
    assert post.arrived == [99, *range(20)]
    assert post.kept == []


def test_while_away_one_try_is_enough(post: Post) -> None:
    post.away()

    async def work(courier: Courier) -> None:
        await courier.send([metric(1)])
        assert len(post.plane.requests) == 5
        await courier.send([metric(2), metric(3)])

    post.run(work)
    assert len(post.plane.requests) == 6
    assert post.kept == [b"1", b"2", b"3"]


@pytest.mark.rows("R4")
def test_a_reading_refused_for_good_is_let_go(post: Post) -> None:
    post.spool.keep([metric(7)])
    post.away(400)

    async def work(courier: Courier) -> None:
        await courier.send([metric(1), metric(2)])
        await courier.drain()

    post.run(work)
    assert len(post.plane.requests) == 3
    assert post.kept == []


def test_an_older_state_does_not_follow_a_newer_one(post: Post) -> None:
    subject = "lxc/100"
    post.spool.keep([Reading(path="/api/proxmox/lxc", body=b"1", subject=subject), metric(5)])
    post.run(lambda courier: courier.send([Reading(path="/api/proxmox/lxc", body=b"2", subject=subject)]))
    assert (post.arrived, post.kept) == ([2], [b"5"])


def test_what_waits_at_the_end_is_kept(post: Post) -> None:
    async def work(courier: Courier) -> None:
        for number in range(module.QUEUE + 3):
            courier.put([metric(number)])
        assert len(post.kept) == 3
        courier.close()

    post.run(work)
    assert sorted(int(body) for body in post.kept) == list(range(module.QUEUE + 3))


def test_a_batch_under_way_at_the_end_is_kept(post: Post) -> None:
    async def work(courier: Courier) -> None:
        task = asyncio.create_task(courier.run())
        courier.put([metric(1), metric(2)])
        while not post.plane.requests:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    post.away()
    post.run(work)
    assert post.kept == [b"1", b"2"]


def test_a_queue_is_sent_in_order(post: Post) -> None:
    async def work(courier: Courier) -> None:
        task = asyncio.create_task(courier.run())
        for number in range(5):
            courier.put([metric(number)])
        while len(post.arrived) < 5:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    post.run(work)
    assert post.arrived == [0, 1, 2, 3, 4]


def test_a_full_disk_does_not_end_the_courier(post: Post) -> None:
    class Full(Spool):
        def superseded(self, subjects: list[str]) -> None:
            raise DiskFull

    post.spool.close()
    post.spool = Full(post.spool.path, cap=10)
    post.run(lambda courier: courier.send([Reading(path="/api/proxmox/node", subject="node/a", body=b"1"), metric(2)]))
    assert post.arrived == [1, 2]


def test_a_backlog_that_cannot_be_forgotten_or_read_is_named(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    class Full(Spool):
        def acknowledged(self, seq: int) -> None:
            raise DiskFull

        def oldest(self, count: int, besides: Collection[str] = ()) -> list[Reading]:
            if post.arrived:
                raise SpoolError
            return super().oldest(count, besides)

    post.spool.close()
    post.spool = Full(post.spool.path, cap=10)
    post.spool.keep([Reading(path="/api/proxmox/node", subject="node/a", body=b"1")])
    post.run(lambda courier: courier.drain())
    post.run(lambda courier: courier.drain())
    assert post.arrived == [1]
    assert caplog.text.count("event=backlog_stuck") == 2


@pytest.mark.rows("G0-RL-01")
def test_what_is_put_off_is_kept_and_holds_up_nothing_else(post: Post) -> None:
    post.limit(b"1")

    async def work(courier: Courier) -> None:
        await courier.send([state(100, b"1"), state(101, b"2"), metric(3)])
        assert (post.arrived, post.kept) == ([2, 3], [b"1"])
        await courier.send([metric(4)])
        assert post.arrived == [2, 3, 4]

    post.run(work)
    assert len(post.plane.requests) == 4  # no second try before its time


@pytest.mark.rows("G0-RL-05")
@pytest.mark.parametrize(("said", "meant"), [(20, 20), (4000, 300), (None, 60)])
def test_retry_after_is_honoured(post: Post, said: int | None, meant: int) -> None:
    post.limit(wait=said)

    async def work(courier: Courier) -> None:
        await courier.send([metric(1), state(100, b"2")])
        post.plane.rules.clear()
        post.wait(meant - 1)
        await courier.send([metric(3), state(100, b"2")])
        await courier.drain()
        assert post.arrived == [1, 3]  # kept readings whose age is unknown are old; the object waits
        post.wait(1)
        await courier.send([metric(4)])
        await courier.drain()

    post.run(work)
    assert post.arrived == [1, 3, 4, 2]
    assert post.kept == []


def test_an_object_that_changed_does_not_wait(post: Post) -> None:
    post.limit(b"1")

    async def work(courier: Courier) -> None:
        await courier.send([state(100, b"1")])
        await courier.send([state(100, b"1")])
        await courier.send([state(100, b"2")])

    post.run(work)
    assert (post.arrived, post.kept, len(post.plane.requests)) == ([2], [], 2)


@pytest.mark.rows("G0-RL-01")
def test_a_backlog_that_is_put_off_waits_its_time_and_stays_in_order(post: Post) -> None:
    post.spool.keep([metric(number) for number in range(20)])
    post.limit(b"5")

    async def work(courier: Courier) -> None:
        await courier.drain()
        assert post.arrived == [0, 1, 2, 3, 4]
        post.spool.keep([state(100, b"77")])
        await courier.drain()
        assert post.arrived == [0, 1, 2, 3, 4, 77]
        post.plane.rules.clear()
        post.wait(20)
        await courier.drain()

    post.run(work)
    assert post.arrived == [0, 1, 2, 3, 4, 77, *range(5, 13)]
    assert post.kept == [b"%d" % number for number in range(13, 20)]


@pytest.mark.rows("G0-RL-01")
def test_a_kept_reading_waits_until_it_is_old(post: Post) -> None:
    """Young ones would take the place of fresh ones."""
    ages = (90, 64, 34, 4)
    post.spool.keep([made(NOON - timedelta(seconds=age)) for age in ages])
    arrived = []

    async def work(courier: Courier) -> None:
        for _ in range(4):
            await courier.drain()
            arrived.append(len(post.arrived))
            post.wait(10)

    post.run(work)
    assert arrived == [1, 2, 2, 2]


@pytest.mark.parametrize("jump", [-86_400, 86_400])
def test_a_clock_that_jumps_holds_nothing_back(post: Post, jump: int) -> None:
    post.spool.keep([made(NOON)])
    post.limit()

    async def work(courier: Courier) -> None:
        await courier.send([made(NOON), state(100, b"1")])
        post.plane.rules.clear()
        post.wait(jump)
        await courier.send([metric(2)])
        await courier.drain()

    post.run(work)
    assert len(post.arrived) == 4
    assert post.kept == []
