"""The desk: a claim is written before anything is asked, a lease is kept alive, and nothing of it stops a script."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.agent.desk import Desk
from nanny_ops.agent.order import Deferred, Order, State, Withdrawn
from nanny_ops.agent.spool import Spool
from nanny_ops.errors import DiskFull, Unreachable
from tests.fakes.control_plane import LEASE, NOON, FakeControlPlane, make_equipment, patch_record, refuse
from tests.fakes.hands import FakeHands

Work = Callable[[Desk], Coroutine[Any, Any, None]]


class Room:
    """One order at its desk."""

    def __init__(self, tmp_path: Path) -> None:
        self.plane, self.hands = FakeControlPlane(), FakeHands(tmp_path)
        self.plane.add(patch_record())
        self.spool = Spool(tmp_path / "spool.db", cap=1)
        self.spool.accept(Order(id="op-1", kind="patch", record=patch_record()))
        self.now, self.claims, self.naps = NOON, iter("abcdef"), list[float]()

    @property
    def order(self) -> Order:
        found = self.spool.find("op-1")
        assert found is not None
        return found

    def sit(self, work: Work) -> None:
        async def nap(seconds: float) -> None:
            self.naps.append(seconds)
            await asyncio.sleep(0)

        async def go() -> None:
            equipment = make_equipment(self.plane, self.hands, now=lambda: self.now, sleep=nap)
            desk = Desk(self.order, equipment, self.spool, asyncio.Event(), lambda: next(self.claims))
            try:
                await work(desk)
            finally:
                await equipment.client.close()

        asyncio.run(go())


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.spool.close()


def lost(_request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("gone")


def test_the_claim_is_written_before_it_is_sent_and_stays_the_same(room: Room) -> None:
    seen: list[tuple[str, State]] = []

    def before(_request: httpx.Request) -> None:
        seen.append((room.order.claim, room.order.state))

    room.plane.rules.append(before)
    for _ in range(2):
        room.sit(lambda desk: desk.begin())
    assert seen == [("a", State.BEGINNING)] * 2
    assert room.plane.claims == {"op-1": "a"}
    assert (room.order.claim, room.order.lease) == ("a", LEASE)


def test_a_claim_that_cannot_be_written_is_not_sent(room: Room) -> None:
    class Full(Spool):
        def claim(self, order_id: str, claim: str, lease: int = 0) -> None:
            raise DiskFull

    room.spool.close()
    room.spool = Full(room.spool.path, cap=1)
    with pytest.raises(DiskFull):
        room.sit(lambda desk: desk.begin())
    assert room.plane.requests == []


def test_who_must_wait_is_told_how_long(room: Room) -> None:
    room.plane.claims["op-1"] = "another machine's"
    with pytest.raises(Deferred) as deferred:
        room.sit(lambda desk: desk.begin())
    assert deferred.value.seconds == 7


@pytest.mark.parametrize(("told", "kept"), [(["a", "b"], ["a", "b"]), ([], []), (None, ["a"])])
def test_what_the_answer_excludes_replaces_what_the_order_said(
    room: Room, told: list[str] | None, kept: list[str]
) -> None:
    room.spool.amend("op-1", patch_record(exclude=["a"]))
    room.plane.exclude = told
    room.sit(lambda desk: desk.begin())
    assert room.order.record == patch_record(exclude=kept)


def test_a_proxy_that_says_locked_is_not_obeyed(room: Room) -> None:
    room.plane.rules.append(lambda _request: httpx.Response(423, content=b"<html>"))
    with pytest.raises(Exception, match="423"):
        room.sit(lambda desk: desk.begin())


def test_a_lease_that_lapsed_on_its_way_is_asked_for_again(room: Room) -> None:
    delays = [timedelta(minutes=3), timedelta(0)]

    def slow(_request: httpx.Request) -> None:
        room.now += delays.pop(0)

    room.plane.rules.append(slow)
    room.sit(lambda desk: desk.begin())
    assert delays == []
    delays += [timedelta(minutes=3)] * 3
    with pytest.raises(Unreachable):
        room.sit(lambda desk: desk.begin())


def test_an_order_that_asked_before_asks_again_though_it_is_cancelled(room: Room) -> None:
    """Its answer may have been lost: the control plane holds the target until it hears that nothing was begun."""
    room.spool.claim("op-1", "a")
    room.plane.operations["op-1"]["status"] = "cancelled"

    async def cancelled(desk: Desk) -> None:
        desk.cancelled.set()
        await desk.begin()

    with pytest.raises(Withdrawn, match="cancelled"):
        room.sit(cancelled)
    assert room.plane.requests == [("POST", "/api/operations/op-1/ack")]


def test_the_lease_is_renewed_and_a_cancel_learned(room: Room) -> None:
    async def work(desk: Desk) -> None:
        await desk.begin()
        async with desk.held():
            while len(room.plane.requests) < 4:
                await asyncio.sleep(0)
            assert not desk.cancelled.is_set()
            room.plane.operations["op-1"]["status"] = "cancelled"
            async with asyncio.timeout(5):
                await desk.cancelled.wait()

    room.sit(work)
    assert {path for _, path in room.plane.requests[1:]} == {"/api/operations/op-1/renew"}
    assert set(room.naps) == {40.0}


@pytest.mark.parametrize("answer", [lost, lambda _request: refuse(409, "fenced"), lambda _request: refuse(500)])
def test_nothing_that_goes_wrong_with_the_lease_ends_the_work(room: Room, answer: Any) -> None:
    async def work(desk: Desk) -> None:
        await desk.begin()
        room.plane.rules.append(answer)
        async with desk.held():
            while len(room.plane.requests) < 4:
                await asyncio.sleep(0)
        assert not desk.cancelled.is_set()

    room.sit(work)


def test_a_job_that_is_found_again_under_a_claim_learns_its_lease(room: Room) -> None:
    room.plane.claims["op-1"] = "from the job"

    async def work(desk: Desk) -> None:
        desk.adopt("from the job")
        async with desk.held():
            while desk.order.lease != LEASE:
                await asyncio.sleep(0)

    room.sit(work)
    assert (room.order.claim, room.order.lease) == ("from the job", LEASE)
