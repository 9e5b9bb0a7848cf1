"""Open streams: every event is encoded once, and the same bytes go to each listener."""

import asyncio
import contextlib
import json
import secrets
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nanny_ops.control.bus import Bus
from nanny_ops.control.store import event as events
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.event import Event
from nanny_ops.errors import NannyError
from nanny_ops.protocol.realtime import HEARTBEAT, RETRY_MS, Gap

log = structlog.get_logger()
#: Events a listener may be behind before it is closed; it comes back with the last id it saw.
BACKLOG = 1000
#: Events read from the log at once.
BATCH = 500
PING = b": ping\n\n"
#: Seconds after which a stream that nobody has subscribed is closed.
UNBOUND_LIFETIME = 60
#: Seconds after which a person's stream is closed, as long as a token lives: who comes back is asked anew who they are.
SHARED_LIFETIME = 3600
#: Seconds after which the log is looked at although nobody said that it has grown: another process may have written.
LOOK_EVERY = 5.0
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(eq=False)
class Stream:
    """One listener. ``subjects`` are whose events it gets; none until it is bound. A ``shared`` one is a person's."""

    client_id: str
    opened_by: str
    owner: str | None = None
    subjects: Collection[str] = ()
    shared: bool = False
    topics: Collection[str] = ()
    #: True for one that is only woken by events and looks for itself.
    looks: bool = False
    #: The last id the listener says it saw, from the header it came with.
    last_seen: int | None = None
    #: Nothing up to here is sent (again).
    sent: int = 0
    live: bool = False
    closed: bool = False
    quiet_beats: int = 0
    #: Other first bytes than :func:`greeting`, and what writes an event (None leaves it out), for another dialect.
    opening: bytes = b""
    translate: Callable[[str, dict[str, Any]], bytes | None] | None = None
    waiting: deque[tuple[int, bytes]] = field(default_factory=deque)
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, seq: int, data: bytes) -> None:
        """Queue bytes; a listener that is too far behind is closed instead."""
        if len(self.waiting) >= BACKLOG:
            self.waiting.clear()  # it comes back with the last id it saw; nothing is kept for it meanwhile
            self.close()
        if self.closed:
            return
        self.waiting.append((seq, data))
        if self.live or not seq:
            self.ready.set()

    def encode(self, seq: int, payload: dict[str, Any]) -> bytes | None:
        """Write an event for this listener; None for one that it is not told."""
        return encode(seq, payload) if self.translate is None else self.translate(self.client_id, payload)

    def close(self) -> None:
        """End the stream; the listener opens it again."""
        self.closed = True
        self.ready.set()


class Streams:
    """All open streams of this process, and the task that feeds them from the event log."""

    def __init__(self, database: Database, bus: Bus) -> None:
        """Start with none."""
        self._database = database
        self._bus = bus
        self.look_every = LOOK_EVERY
        self._by_client: dict[str, Stream] = {}
        self._by_subject: dict[str, set[Stream]] = {}
        self._more = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._draining = False
        self._seq = 0

    def __len__(self) -> int:
        """Return how many streams are open."""
        return len(self._by_client)

    async def start(self) -> None:
        """Begin to follow the log from its present end."""
        self._seq = await self._database.read(events.last_seq)
        stop = self._bus.listen(self._more.set)
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._beat())]
        self._tasks[0].add_done_callback(lambda _task: stop())

    async def stop(self) -> None:
        """Close every stream and stop following."""
        self.close_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def close_all(self) -> None:
        """End all streams, so that a shutdown need not wait for them."""
        self._draining = True
        for stream in self._by_client.values():
            stream.close()

    def open(self, opened_by: str, owner: str | None, last_seen: int | None) -> Stream:
        """Make a stream; it is silent until :meth:`bind`."""
        stream = Stream(secrets.token_urlsafe(24), opened_by, owner, last_seen=last_seen)
        self._by_client[stream.client_id] = stream
        if self._draining:
            stream.close()
        return stream

    def get(self, client_id: str) -> Stream | None:
        """Find an open stream."""
        stream = self._by_client.get(client_id)
        return None if stream is None or stream.closed else stream

    def is_open(self, stream: Stream) -> bool:
        """Tell whether a stream was not closed by either side."""
        return not stream.closed

    def unbound(self, peer: str) -> int:
        """Return how many streams from an address belong to nobody yet."""
        return sum(stream.owner is None and stream.opened_by == peer for stream in self._by_client.values())

    def bind(self, stream: Stream, owner: str, subject: str, topics: Collection[str]) -> list[Stream]:
        """Give a stream its events, held back until :meth:`go_live`; return the open streams it replaces."""
        self._bind(stream, owner, (subject,), topics)
        others = [
            other
            for other in self._by_subject.get(subject, ())
            if other is not stream and not other.closed and not other.shared
        ]
        for other in others:
            other.close()
        return others

    def share(self, stream: Stream, owner: str, subjects: Collection[str], topics: Collection[str]) -> None:
        """Do the same for one of several listeners to the same subjects; it replaces none."""
        stream.shared = True
        self._bind(stream, owner, subjects, topics)

    def nudge(self, *subjects: str | None) -> None:
        """Wake those who look for themselves: there is more about a subject, and no event tells of it."""
        for subject in filter(None, subjects):
            for stream in self._by_subject.get(subject, ()):
                if stream.looks:
                    stream.ready.set()

    def owned(self, owner: str) -> int:
        """Return how many streams somebody has open."""
        return sum(stream.owner == owner and not stream.closed for stream in self._by_client.values())

    def _bind(self, stream: Stream, owner: str, subjects: Collection[str], topics: Collection[str]) -> None:
        self._unbind(stream)
        stream.owner, stream.subjects, stream.topics, stream.live = owner, subjects, topics, False
        for subject in subjects:
            self._by_subject.setdefault(subject, set()).add(stream)

    def go_live(self, stream: Stream, replay: list[tuple[int, bytes]], upto: int) -> None:
        """Send what was missed, then what came meanwhile beyond ``upto``, then everything as it comes."""
        meanwhile = [(seq, data) for seq, data in stream.waiting if seq > upto]
        stream.waiting.clear()
        stream.waiting.extend(replay)
        stream.waiting.extend(meanwhile)
        stream.live = True
        stream.ready.set()

    def forget(self, stream: Stream) -> None:
        """Drop a stream whose listener has gone."""
        self._by_client.pop(stream.client_id, None)
        self._unbind(stream)

    def _unbind(self, stream: Stream) -> None:
        for subject in stream.subjects:
            rest = self._by_subject.get(subject, set())
            rest.discard(stream)
            if not rest:
                self._by_subject.pop(subject, None)

    def close_owner(self, owner: str) -> None:
        """End the streams of a person whose rights have changed; who still may opens them anew."""
        for stream in list(self._by_client.values()):
            if stream.owner == owner:
                stream.close()

    def close_subject(self, subject: str) -> None:
        """End the streams of an agent that was revoked."""
        for stream in list(self._by_subject.get(subject, ())):
            stream.close()

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._more.wait(), self.look_every)
            self._more.clear()
            try:
                await self._catch_up()
            except NannyError as wrong:  # the database is away for a moment; what it holds is told afterwards
                log.warning("event log not read", reason=wrong.message)
            except Exception as wrong:  # a follower that ends leaves every agent deaf, and nobody told
                log.error("event log not read", exc_info=wrong)

    async def _catch_up(self) -> None:
        more = True
        while more:  # whatever is committed after this read wakes the follower once more
            found = await self._database.read(lambda tx: events.after(tx, self._seq, BATCH))
            for event in found:
                self._seq = event.seq
                self._deliver(event)
            more = len(found) == BATCH

    def _deliver(self, event: Event) -> None:
        listeners = self._by_subject.get(event.subject)
        if not listeners:
            return
        shared = encode(event.seq, event.payload)
        for stream in list(listeners):
            if stream.looks:
                stream.ready.set()
            elif event.topic in stream.topics:
                try:
                    data = shared if stream.translate is None else stream.encode(event.seq, event.payload)
                except Exception as wrong:  # one listener's dialect must not cost others their event
                    log.error("event not translated", seq=event.seq, subject=event.subject, exc_info=wrong)
                    stream.close()  # it comes back, and asks for what is open
                    continue
                if data is not None:
                    stream.offer(event.seq, data)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            for stream in list(self._by_client.values()):
                stream.quiet_beats += 1
                lifetime = SHARED_LIFETIME if stream.shared else UNBOUND_LIFETIME
                if (stream.shared or not stream.subjects) and stream.quiet_beats * HEARTBEAT >= lifetime:
                    stream.close()
                else:
                    stream.offer(0, PING)


async def disconnect(receive: Receive) -> None:
    """Return when the other side has gone."""
    while (await receive())["type"] != "http.disconnect":
        continue


def encode(seq: int, payload: dict[str, Any]) -> bytes:
    """Write one ``record`` event; ``seq`` 0 leaves out the id."""
    head = f"id: {seq}\n" if seq else ""
    return f"event: record\n{head}data: {json.dumps(payload, separators=(',', ':'))}\n\n".encode()


def notice(gap: Gap) -> bytes:
    """Write that events are lost to the listener; a control frame carries no id."""
    return f"event: gap\ndata: {json.dumps(asdict(gap), separators=(',', ':'))}\n\n".encode()


def marked(data: bytes, seq: int) -> bytes:
    """Give a frame an id, so that a listener who has read it goes on from there."""
    return b"id: %d\n" % seq + data


def greeting(client_id: str) -> bytes:
    """Write the first event of a stream; a control frame carries no id."""
    return f'event: connect\nretry: {RETRY_MS}\ndata: {{"clientId":"{client_id}"}}\n\n'.encode()


class StreamResponse(Response):
    """Writes a stream's bytes until either side ends it; one small task per listener."""

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, stream: Stream) -> None:
        """Serve this stream."""
        super().__init__(b"", headers=HEADERS)
        del self.headers["content-length"]
        self._streams = streams
        self._stream = stream

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Greet, then send whatever is queued."""
        stream = self._stream
        gone = asyncio.ensure_future(disconnect(receive))
        gone.add_done_callback(lambda _task: stream.close())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send(body_of(stream.opening or greeting(stream.client_id)))
            while not stream.closed:
                await stream.ready.wait()
                stream.ready.clear()
                await _flush(stream, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            self._streams.forget(stream)


async def _flush(stream: Stream, send: Send) -> None:
    held: list[tuple[int, bytes]] = []
    while stream.waiting:
        seq, data = stream.waiting.popleft()
        if seq and not stream.live:
            held.append((seq, data))
        elif not seq or seq > stream.sent:
            await send(body_of(data))
            stream.sent = max(stream.sent, seq)
    stream.waiting.extendleft(reversed(held))


def body_of(data: bytes) -> dict[str, Any]:
    """Return a message that sends some bytes."""
    return {"type": "http.response.body", "body": data, "more_body": True}
