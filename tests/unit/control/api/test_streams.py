"""Streams: nothing lost, nothing doubled, slow listeners closed."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DatabaseError

from nanny_ops.control.api.streams import BACKLOG, Stream, StreamResponse, Streams, encode, greeting
from nanny_ops.control.bus import Bus
from nanny_ops.control.store import event as events
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.errors import Unavailable
from nanny_ops.protocol.clock import micros

AT = micros(datetime(2026, 1, 31, tzinfo=UTC))


class Listener:
    """Reads a stream response as a browser would, until it hangs up."""

    def __init__(self, streams: Streams, stream: Stream) -> None:
        self.got: list[bytes] = []
        self.hang_up = asyncio.Event()
        self._task = asyncio.create_task(StreamResponse(streams, stream)({}, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self.hang_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            self.got.append(message["body"])

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.got) < count:
                await asyncio.sleep(0.005)

    async def end(self) -> None:
        self.hang_up.set()
        await self._task


def log(database: Database, subject: str, number: int) -> Any:
    return database.write(
        lambda tx: events.log(
            tx,
            team_id=teams.DEFAULT,
            topic="patch_operations",
            subject=subject,
            kind="create",
            payload={"n": number},
            at=AT,
        )
    )


def numbers(got: list[bytes]) -> list[int]:
    return [int(part.split(b'"n":')[1].split(b"}")[0]) for part in got if b'"n":' in part]


async def test_events_reach_only_their_subject_and_in_order(database: Database) -> None:
    bus = Bus()
    database.on_commit = bus.wake
    streams = Streams(database, bus)
    await streams.start()
    mine, other = streams.open("peer", None, None), streams.open("peer", None, None)
    ears = [Listener(streams, mine), Listener(streams, other)]
    for stream, subject in ((mine, "agent-1"), (other, "agent-2")):
        streams.bind(stream, subject, subject, {"patch_operations"})
        streams.go_live(stream, [], 0)
    for number in range(20):
        await log(database, f"agent-{number % 2 + 1}", number)
    await asyncio.gather(*(ear.until(11) for ear in ears))
    assert numbers(ears[0].got) == list(range(0, 20, 2))
    assert numbers(ears[1].got) == list(range(1, 20, 2))
    await asyncio.gather(*(ear.end() for ear in ears))
    assert len(streams) == 0
    await streams.stop()


async def test_the_newest_stream_of_an_agent_replaces_the_older(database: Database) -> None:
    streams = Streams(database, Bus())
    first, second = streams.open("peer", None, None), streams.open("peer", None, None)
    streams.bind(first, "agent-1", "agent-1", ())
    assert streams.bind(second, "agent-1", "agent-1", ()) == [first]
    assert first.closed
    assert not second.closed


def test_a_listener_too_far_behind_is_closed() -> None:
    stream = Stream("c", "peer")
    for seq in range(1, BACKLOG + 2):
        stream.offer(seq, b"x")
    assert stream.closed


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 10))
def test_replay_and_live_join_without_gap_or_double(seen: int, logged: int, meanwhile: int) -> None:
    """Events up to ``upto`` come from the replay, later ones from what was offered while it was read."""

    async def run() -> list[int]:
        streams = Streams(None, Bus())  # type: ignore[arg-type]  # no event is read from the log here
        stream = streams.open("peer", None, None)
        ear = Listener(streams, stream)
        streams.bind(stream, "a", "a", ())
        upto = seen + logged
        for seq in range(seen + 1, upto + meanwhile + 1):  # everything is also offered live while it is read
            stream.offer(seq, encode(seq, {"n": seq}))
        replay = [(seq, encode(seq, {"n": seq})) for seq in range(seen + 1, upto + 1)]
        streams.go_live(stream, replay, upto)
        await ear.until(1 + logged + meanwhile)
        await ear.end()
        return numbers(ear.got)

    assert asyncio.run(run()) == list(range(seen + 1, seen + logged + meanwhile + 1))


def test_frames_are_what_the_protocol_asks_for() -> None:
    assert greeting("abc") == b'event: connect\nretry: 5000\ndata: {"clientId":"abc"}\n\n'
    assert encode(7, {"action": "create"}) == b'event: record\nid: 7\ndata: {"action":"create"}\n\n'
    assert b"id:" not in encode(0, {})


async def test_a_database_that_is_away_for_a_moment_costs_no_event(database: Database) -> None:
    bus = Bus()
    database.on_commit = bus.wake
    streams = Streams(database, bus)
    streams.look_every = 0.05
    await streams.start()
    stream = streams.open("peer", None, None)
    ear = Listener(streams, stream)
    streams.bind(stream, "agent-1", "agent-1", {"patch_operations"})
    streams.go_live(stream, [], 0)
    read, failures = database.read, 3

    async def read_or_fail(run: Any) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            raise Unavailable("The database cannot be reached.")
        return await read(run)

    database.read = read_or_fail  # type: ignore[method-assign]
    await log(database, "agent-1", 7)
    await ear.until(2)
    assert numbers(ear.got) == [7]
    assert failures == 0
    await ear.end()
    await streams.stop()


async def test_what_another_process_wrote_is_told_without_a_wake(database: Database) -> None:
    streams = Streams(database, Bus())
    streams.look_every = 0.05
    await streams.start()
    stream = streams.open("peer", None, None)
    ear = Listener(streams, stream)
    streams.bind(stream, "agent-1", "agent-1", {"patch_operations"})
    streams.go_live(stream, [], 0)
    await log(database, "agent-1", 8)
    await ear.until(2)
    assert numbers(ear.got) == [8]
    await ear.end()
    await streams.stop()


async def test_an_error_that_nobody_foresaw_makes_no_agent_deaf(database: Database) -> None:
    streams = Streams(database, Bus())
    streams.look_every = 0.05
    await streams.start()
    stream = streams.open("peer", None, None)
    ear = Listener(streams, stream)
    streams.bind(stream, "agent-1", "agent-1", {"patch_operations"})
    streams.go_live(stream, [], 0)
    read, failures = database.read, 2

    async def read_or_break(run: Any) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            raise DatabaseError("SELECT", {}, Exception("database disk image is malformed"))
        return await read(run)

    database.read = read_or_break  # type: ignore[method-assign]
    await log(database, "agent-1", 9)
    await ear.until(2)
    assert numbers(ear.got) == [9]
    await ear.end()
    await streams.stop()


async def test_an_event_that_one_dialect_cannot_tell_costs_the_others_nothing(database: Database) -> None:
    def stumbling(_client_id: str, payload: dict[str, Any]) -> bytes:
        return bytes(payload["missing"])

    streams = Streams(database, Bus())
    streams.look_every = 0.05
    await streams.start()
    odd, plain = streams.open("peer", None, None), streams.open("peer", None, None)
    odd.translate = stumbling
    ears = [Listener(streams, stream) for stream in (odd, plain)]
    for stream, agent in ((odd, "agent-1"), (plain, "agent-2")):
        streams.bind(stream, agent, agent, {"patch_operations"})
        streams.go_live(stream, [], 0)
    await log(database, "agent-1", 1)
    await log(database, "agent-2", 2)
    await ears[1].until(2)
    assert numbers(ears[1].got) == [2]
    assert odd.closed
    for ear in ears:
        await ear.end()
    await streams.stop()
