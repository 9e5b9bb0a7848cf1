"""Streams for people about one operation or one batch: how it stands, its steps, and what its script prints.

A reader costs a row of marks and one piece of output, however much there is: the truth is read anew whenever something
has happened, and no faster than it is taken. The id of an event says what was told: nothing about readers is kept.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from starlette.types import Receive, Scope, Send

from nanny_ops.control.api.event import PER_PERSON
from nanny_ops.control.api.limit import tell
from nanny_ops.control.api.realtime import STREAM
from nanny_ops.control.api.state import AsAgent, AsPerson, Control, Peer, State, bearer, outputs_of
from nanny_ops.control.api.streams import HEADERS, SHARED_LIFETIME, Stream, body_of, disconnect
from nanny_ops.control.services import audit, bookmark
from nanny_ops.control.services import watch as service
from nanny_ops.control.services.bookmark import Mark
from nanny_ops.control.services.limit import Quota
from nanny_ops.control.services.principal import Person
from nanny_ops.control.services.watch import Noun, Watched
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.output import STREAMS
from nanny_ops.errors import Forbidden, NannyError, RateLimited
from nanny_ops.protocol.patch_report import Step
from nanny_ops.protocol.realtime import RETRY_MS
from nanny_ops.protocol.watch import (
    CLOSED,
    END,
    OUTPUT,
    STATUS,
    STEP,
    JobSteps,
    WatchClosed,
    WatchOutput,
    WatchStatus,
    WatchStep,
)

router = APIRouter(tags=["watch"])
#: Bytes of output in one event.
PIECE = 16 * 1024
#: Operations of a batch whose outputs are told side by side; others follow, so that an id stays short.
SIDE_BY_SIDE = 128
#: Seconds between two looks where nothing wakes: another process may have written; and at least, for a batch and alone.
LOOK_EVERY, APART_BATCH, APART = 2.0, 1.0, 0.25
#: Seconds in which a listener must take what it is sent.
PATIENCE = 60.0
LastId = Annotated[str | None, Header(max_length=bookmark.LONGEST)]
ANSWERS: dict[int | str, dict[str, Any]] = {
    **STREAM,
    204: {"description": "All was told to who holds this Last-Event-ID; there is nothing more to come"},
    404: {"description": "No such operation or batch"},
    429: {"description": f"More than {PER_PERSON} streams of one person"},
}


@router.get("/api/patches/{operation_id}/stream", response_class=Response, responses=ANSWERS)
async def patch(
    operation_id: str, request: Request, who: AsPerson, control: Control, peer: Peer, last_event_id: LastId = None
) -> Response:
    """Follow a patch: events ``status``, ``step``, ``output`` as they come, and ``end``.

    With Last-Event-ID it goes on behind that event. Outputs are told to operators of the team and to who ordered it.
    """
    return await _open(Asked(request, who, control, peer), "patch", operation_id, last_event_id)


@router.get("/api/patch-batches/{batch_id}/stream", response_class=Response, responses=ANSWERS)
async def batch(
    batch_id: str, request: Request, who: AsPerson, control: Control, peer: Peer, last_event_id: LastId = None
) -> Response:
    """Follow all orders of a batch."""
    return await _open(Asked(request, who, control, peer), "batch", batch_id, last_event_id)


@router.get("/api/reboots/{reboot_id}/stream", response_class=Response, responses=ANSWERS)
async def reboot(
    reboot_id: str, request: Request, who: AsPerson, control: Control, peer: Peer, last_event_id: LastId = None
) -> Response:
    """Follow a reboot; it has no steps and prints nothing."""
    return await _open(Asked(request, who, control, peer), "reboot", reboot_id, last_event_id)


@router.get("/api/updates/{update_id}/stream", response_class=Response, responses=ANSWERS)
async def update(
    update_id: str, request: Request, who: AsPerson, control: Control, peer: Peer, last_event_id: LastId = None
) -> Response:
    """Follow the update of an agent; it has no steps and prints nothing."""
    return await _open(Asked(request, who, control, peer), "update", update_id, last_event_id)


@router.post(
    "/api/operations/{operation_id}/steps",
    status_code=204,
    response_class=Response,
    responses={
        403: {"description": "Another agent's operation"},
        404: {"description": "No such operation"},
        409: {"description": "Its result is known"},
    },
)
async def note_steps(operation_id: str, body: JobSteps, agent: AsAgent, control: Control) -> Response:
    """Take all steps of a running job so far, for those who watch; they replace what was told before."""
    operation = await control.database.write(
        lambda tx: service.note_steps(tx, agent, operation_id, body.steps, control.clock())
    )
    control.streams.nudge(operation.id, operation.batch_id)
    return Response(status_code=204)


@dataclass(frozen=True)
class Asked:
    """A request for a stream."""

    request: Request
    who: Person
    control: State
    peer: str

    async def again(self) -> Person:
        """Return the person anew. Raises what a revoked token raises."""
        token = bearer(self.request.headers.get("authorization"))
        found, _ = await self.control.sessions.resolve(token, self.control.clock())
        if not isinstance(found, Person):
            raise Forbidden("This needs a person's token.")
        found.allow_method("GET")
        return found


async def _open(asked: Asked, noun: Noun, key: str, last_id: str | None) -> Response:
    control = asked.control
    watched, noted = await control.database.read(
        lambda tx: (
            service.look(tx, asked.who, noun, key),
            audit.is_fresh(tx, asked.who, "log.read", key, control.clock()),
        )
    )
    marks = bookmark.read(last_id or "", key, len(watched.operations))
    if marks == []:
        return Response(status_code=204)
    if control.streams.owned(asked.who.id) >= PER_PERSON:
        tell(asked.request.scope, Quota(PER_PERSON, 0, control.clock().timestamp() + SHARED_LIFETIME))
        raise RateLimited("Too many streams of yours are open; close one.", retry_after=60)
    if watched.readable and not noted and noun in ("patch", "batch"):
        told = {"stream": "live"}
        await control.database.write(
            lambda tx: audit.note(tx, "log.read", key, control.clock(), watched.team_id, **told)
        )
    return WatchResponse(asked, noun, watched, [Mark() for _ in watched.operations] if marks is None else marks)


class WatchResponse(Response):
    """Tells one reader what it has not been told, as fast as that reads, and ends with what is watched."""

    media_type = "text/event-stream"

    def __init__(
        self, asked: Asked, noun: Noun, watched: Watched, marks: list[Mark], tick: Callable[[], float] = time.monotonic
    ) -> None:
        """Go on behind these marks."""
        super().__init__(b"", headers=HEADERS)
        del self.headers["content-length"]
        self._asked, self._noun, self._key, self._marks = asked, noun, watched.key, marks
        self._control, self._tick = asked.control, tick
        self._outputs = outputs_of(asked.control)

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Tell until all has ended, the reader has gone or may not be told any more."""
        streams = self._control.streams
        stream = streams.open(self._asked.peer, self._asked.who.id, None)
        stream.looks = True
        gone = asyncio.ensure_future(disconnect(receive))
        gone.add_done_callback(lambda _task: stream.close())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._put(send, b"retry: %d\n\n" % RETRY_MS)
            await self._tell(stream, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:  # it takes nothing: the connection is cut, and it may come back with its last id
            return
        finally:
            gone.cancel()
            streams.forget(stream)

    async def _tell(self, stream: Stream, send: Send) -> None:
        streams = self._control.streams
        while streams.is_open(stream):
            stream.ready.clear()
            looked = self._tick()
            try:
                watched, steps = await self._look()
            except NannyError as wrong:
                await self._put(send, _plain(CLOSED, WatchClosed(error=wrong.code, error_description=wrong.message)))
                return
            self._listen(stream, watched)
            async for frame in self._news(watched, steps):
                await self._put(send, frame)
                if not streams.is_open(stream):  # what is left would be written to nobody
                    return
            if all(mark.done for mark in self._marks):
                self._marks = []
                await self._put(send, self._frame(END, service.end(watched)))
                return
            await self._pause(stream, send, looked)

    async def _pause(self, stream: Stream, send: Send, looked: float) -> None:
        """Wait until there may be more; heartbeats go out meanwhile."""
        apart = APART_BATCH if self._noun == "batch" else APART
        await asyncio.sleep(max(0.0, looked + apart - self._tick()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stream.ready.wait(), max(0.0, looked + LOOK_EVERY - self._tick()))
        while stream.waiting:
            await self._put(send, stream.waiting.popleft()[1])

    async def _look(self) -> tuple[Watched, dict[str, list[Step]]]:
        person = await self._asked.again()

        def read(tx: Tx) -> tuple[Watched, dict[str, list[Step]]]:
            watched = service.look(tx, person, self._noun, self._key)
            self._marks += [Mark() for _ in watched.operations[len(self._marks) :]]
            pairs = zip(watched.operations, self._marks, strict=False)
            return watched, service.steps_of(tx, [one for one, mark in pairs if not mark.done])

        return await self._control.database.read(read)

    def _listen(self, stream: Stream, watched: Watched) -> None:
        """Be woken for these operations; an order that follows its guest gets another agent."""
        subjects = {self._key, *(one.agent_id for one in watched.operations)}
        if subjects != set(stream.subjects):
            self._control.streams.share(stream, self._asked.who.id, subjects, ())

    async def _news(self, watched: Watched, steps: dict[str, list[Step]]) -> AsyncIterator[bytes]:
        room = SIDE_BY_SIDE - sum(mark.is_partly_read for mark in self._marks)
        for operation, mark in zip(watched.operations, self._marks, strict=False):
            if mark.done:
                continue
            was_partly_read = mark.is_partly_read
            has_room = was_partly_read or room > 0
            told = steps.get(operation.id, []) if has_room else []
            for news in service.opening(operation, told, mark):
                yield self._frame(_name(news), news)
            if not has_room:
                continue
            if watched.readable:
                async for output in self._output(operation, mark):
                    yield self._frame(OUTPUT, output)
            for news in service.closing(operation, told, mark, self._control.clock()):
                yield self._frame(_name(news), news)
            room -= mark.is_partly_read and not was_partly_read

    async def _output(self, operation: Operation, mark: Mark) -> AsyncIterator[WatchOutput]:
        receipt = (operation.result or {}).get("receipt")
        over = service.is_over(operation, self._control.clock())
        for name in STREAMS:
            while True:
                offset: int = getattr(mark, name)
                piece = await asyncio.to_thread(
                    self._outputs.piece, operation.id, receipt, name, offset, PIECE, over=over
                )
                if not piece:
                    break
                setattr(mark, name, offset + len(piece))
                text = piece.decode("utf-8", "replace")
                yield WatchOutput(operation_id=operation.id, stream=name, offset=offset, text=text)

    def _frame(self, name: str, record: Any) -> bytes:
        return f"id: {bookmark.write(self._key, self._marks)}\n".encode() + _plain(name, record)

    async def _put(self, send: Send, data: bytes) -> None:
        """Send, as fast as it is taken. Raises TimeoutError where nothing is."""
        await asyncio.wait_for(send(body_of(data)), PATIENCE)


def _plain(name: str, record: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(asdict(record), separators=(',', ':'))}\n\n".encode()


def _name(news: WatchStatus | WatchStep) -> str:
    return STATUS if isinstance(news, WatchStatus) else STEP
