"""The link: opens again, catches up, loses and doubles nothing."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanny_ops.agent.link import Link
from nanny_ops.protocol.realtime import CHANNELS, GUIDE_CHANNELS
from tests.fakes.control_plane import AGENT, FakeControlPlane, make_client, no_sleep, patch_record, refuse

CONNECT = b'event: connect\ndata: {"clientId":"c-1"}\n\n'


def record_event(number: int) -> bytes:
    data = json.dumps({"action": "create", "record": patch_record(f"op-{number}")})
    return f"event: record\nid: {number}\ndata: {data}\n\n: beat\n\n".encode()


class Stream:
    """A control plane whose streams are cut after so many bytes, in pieces of so many."""

    def __init__(self, count: int, lives: list[tuple[int, int]], *, connect: bytes = CONNECT) -> None:
        self.count, self.lives, self.connect = count, list(lives), connect
        self.done = asyncio.Event()
        self.last_ids: list[str] = []

    def open(self, request: httpx.Request) -> AsyncIterator[bytes]:
        last_id = request.headers.get("last-event-id", "")
        self.last_ids.append(last_id)
        length, piece = self.lives.pop(0) if self.lives else (10_000_000, 64)
        whole = self.connect + b"".join(record_event(n) for n in range(int(last_id or 0) + 1, self.count + 1))
        return self._pieces(whole[:length], piece, last=not self.lives and length >= len(whole))

    async def _pieces(self, stream: bytes, piece: int, *, last: bool) -> AsyncIterator[bytes]:
        for start in range(0, len(stream), piece):
            yield stream[start : start + piece]
        if last:
            self.done.set()
            await asyncio.sleep(30)


class Run:
    """One link, for as long as a test needs it."""

    def __init__(self, plane: FakeControlPlane, **values: Any) -> None:
        self.plane, self.got, self.waits, self.caught_up = plane, [], [], 0
        self.client = make_client(plane)
        given_ = {"sleep": self.sleep, "random": lambda: 0.5, "caught_up": self.count}
        self.link = Link(self.client, self.submit, AGENT, **{**given_, **values})

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)

    def count(self) -> None:
        self.caught_up += 1

    def submit(self, topic: str, action: str, record: dict[str, Any]) -> None:
        self.got.append((topic, action, record["id"]))

    async def until(self, event: asyncio.Event) -> None:
        task = asyncio.create_task(self.link.run())
        async with asyncio.timeout(20):
            await event.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await self.client.close()


def follow(count: int, lives: list[tuple[int, int]]) -> tuple[Run, Stream]:
    async def go() -> tuple[Run, Stream]:
        plane, stream = FakeControlPlane(), Stream(count, lives)
        plane.stream = stream.open
        run = Run(plane)
        await run.until(stream.done)
        return run, stream

    return asyncio.run(go())


@pytest.mark.rows("G0-RT-05", "F10")
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 6), st.lists(st.tuples(st.integers(0, 1500), st.integers(1, 300)), max_size=5))
def test_a_stream_cut_at_any_byte_loses_and_doubles_nothing(count: int, lives: list[tuple[int, int]]) -> None:
    run, _ = follow(count, lives)
    assert [order for _, _, order in run.got] == [f"op-{n}" for n in range(1, count + 1)]


@pytest.mark.rows("G0-RT-05")
def test_it_subscribes_to_its_channels_with_the_client_id_it_was_given() -> None:
    run, stream = follow(2, [])
    bodies = [json.loads(one.content) for one in run.plane.seen if one.method == "POST"]
    assert bodies == [{"clientId": "c-1", "subscriptions": list(CHANNELS)}]
    assert all(one.headers["authorization"].startswith("Bearer ") for one in run.plane.seen)
    assert stream.last_ids == [""]


def test_a_control_plane_that_knows_only_the_guides_channels_is_asked_for_those() -> None:
    async def go() -> Run:
        plane, stream = FakeControlPlane(), Stream(1, [])
        plane.stream = stream.open
        plane.rules.append(lambda asked: refuse(400) if b"update_operations" in asked.content else None)
        run = Run(plane)
        await run.until(stream.done)
        return run

    run = asyncio.run(go())
    asked = [json.loads(one.content)["subscriptions"] for one in run.plane.seen if one.method == "POST"]
    assert asked == [list(CHANNELS), list(GUIDE_CHANNELS)]


@pytest.mark.rows("G0-RT-05")
def test_it_comes_back_with_the_last_id_it_saw() -> None:
    whole = len(CONNECT) + len(record_event(1)) + 20
    _, stream = follow(3, [(whole, 100)])
    assert stream.last_ids == ["", "1"]


@pytest.mark.rows("G0-SE-01", "G0-RT-05", "F10")
def test_waits_grow_from_five_seconds_to_sixty_and_a_success_resets_them() -> None:
    run, _ = follow(1, [(0, 1)] * 6)
    assert run.waits == [5, 10, 20, 40, 60, 60]
    run, _ = follow(1, [(0, 1), (0, 1), (len(CONNECT), 500), (0, 1)])
    assert run.waits == [5, 10, 5, 10]


@pytest.mark.rows("G0-SE-01")
def test_the_servers_own_wish_for_a_wait_is_honoured_within_bounds() -> None:
    async def go() -> Run:
        plane = FakeControlPlane()
        stream = Stream(0, [(10_000, 500)], connect=b"retry: 9000\n" + CONNECT)
        stream.lives = [(len(stream.connect) - 1, 500), (10_000, 500)]
        plane.stream = stream.open
        run = Run(plane)
        await run.until(stream.done)
        return run

    assert asyncio.run(go()).waits == [9]


def test_open_orders_are_asked_for_after_each_connection() -> None:
    async def go() -> Run:
        plane, stream = FakeControlPlane(), Stream(0, [(len(CONNECT), 500)])
        plane.add(patch_record("op-7"))
        plane.stream = stream.open
        run = Run(plane)
        await run.until(stream.done)
        return run

    run = asyncio.run(go())
    assert ("patch_operations", "create", "op-7") in run.got
    assert run.caught_up >= 1
    assert ("GET", f"/api/agent/{AGENT}/operations") in run.plane.requests


def test_malformed_events_are_passed_over() -> None:
    bad = (
        b'event: record\nid: 1\ndata: {"action":\n\n'
        b'event: record\ndata: {"action":"delete","record":{}}\n\nevent: news\ndata: x\n\n'
    )

    async def go() -> Run:
        plane, stream = FakeControlPlane(), Stream(1, [], connect=CONNECT + bad)
        plane.stream = stream.open
        run = Run(plane)
        await run.until(stream.done)
        return run

    assert asyncio.run(go()).got == [("record", "create", "op-1")]


@pytest.mark.parametrize("connect", [b"event: connect\ndata: {}\n\n", b"event: connect\ndata: x\n\n"])
def test_a_greeting_that_makes_no_sense_is_a_failure(connect: bytes) -> None:
    async def go() -> Run:
        plane, stream = FakeControlPlane(), Stream(1, [], connect=connect)
        plane.stream = stream.open
        run = Run(plane)

        async def twice(seconds: float) -> None:
            await run.sleep(seconds)
            if len(run.waits) == 2:
                stream.done.set()

        run.link = Link(run.client, run.submit, AGENT, sleep=twice, random=lambda: 0.5)
        await run.until(stream.done)
        return run

    run = asyncio.run(go())
    assert run.waits[:2] == [5, 10]
    assert run.got == []


def test_a_revoked_agent_stops_listening() -> None:
    async def go() -> list[Any]:
        plane = FakeControlPlane()
        plane.rules.append(lambda _request: refuse(403, "agent_revoked"))
        run = Run(plane)
        await asyncio.wait_for(run.link.run(), 5)
        await run.client.close()
        return plane.requests

    assert asyncio.run(go()) == [("GET", "/api/realtime")]


@pytest.mark.rows("G0-RT-06")
def test_a_gap_is_logged_and_what_follows_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    gap = b'event: gap\ndata: {"last_seen":5,"resumes_after":9}\n\n'

    async def go() -> Run:
        plane, stream = FakeControlPlane(), Stream(1, [], connect=CONNECT + gap)
        plane.stream = stream.open
        run = Run(plane)
        await run.until(stream.done)
        return run

    assert asyncio.run(go()).got == [("record", "create", "op-1")]
    assert [one.message for one in caplog.records if "link_gap" in one.message] == [
        """event=link_gap data='{"last_seen":5,"resumes_after":9}' action='open orders follow'"""
    ]


def test_a_failed_question_is_left_for_the_next_time() -> None:
    async def go() -> Run:
        plane = FakeControlPlane()
        plane.rules.append(lambda _request: refuse(404))
        run = Run(plane, sleep=no_sleep)
        await run.link.pull()
        await run.client.close()
        return run

    assert asyncio.run(go()).caught_up == 0


def test_hostile_events_do_not_end_the_link() -> None:
    nested = b'{"action":"create","record":{"id":' + b"[" * 50_000 + b"]" * 50_000 + b"}}"
    bad = b"event: record\ndata: " + nested + b"\n\n"

    async def go() -> Run:
        plane, stream = FakeControlPlane(), Stream(1, [], connect=CONNECT + bad)
        plane.stream = stream.open
        run = Run(plane)
        await run.until(stream.done)
        return run

    assert asyncio.run(go()).got == [("record", "create", "op-1")]


def test_an_id_that_no_header_can_carry_is_not_sent_back() -> None:
    async def go() -> list[str]:
        connect = CONNECT + "event: news\nid: caf\u00e9\ndata: x\n\n".encode()
        plane, stream = FakeControlPlane(), Stream(1, [(len(connect), 64)], connect=connect)
        plane.stream = stream.open
        run = Run(plane)
        await run.until(stream.done)
        return stream.last_ids

    assert asyncio.run(go()) == ["", ""]
