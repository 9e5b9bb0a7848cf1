"""The courier: fresh readings at once, kept ones later, none lost before the cap."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.agent import courier as module
from nanny_ops.agent.courier import Courier
from nanny_ops.agent.spool import Reading, Spool
from nanny_ops.errors import DiskFull
from tests.fakes.control_plane import FakeControlPlane, make_client, refuse


def metric(number: int) -> Reading:
    return Reading(path="/api/agent", body=b"%d" % number)


class Post:
    """A courier with its ways and places."""

    def __init__(self, tmp_path: Path, cap: int = 100) -> None:
        self.plane, self.spool = FakeControlPlane(), Spool(tmp_path / "s.db", cap=cap)

    def run(self, work: Any) -> None:
        async def go() -> None:
            client = make_client(self.plane)
            await work(Courier(client, self.spool))
            await client.close()

        asyncio.run(go())

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
