"""What scripts print: pieces from the agent while they run, and the whole for people who may read it."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from nanny_ops.control.api.state import AsAgent, AsPerson, Control, outputs_of
from nanny_ops.control.services import audit
from nanny_ops.control.services import patch as patches
from nanny_ops.control.services import result as results
from nanny_ops.control.store.output import Stream
from nanny_ops.errors import Conflict, NotFound
from nanny_ops.protocol.clock import stamp_micros
from nanny_ops.protocol.operation import ENDED, OutputChunk, Status

router = APIRouter(tags=["output"])
#: Bytes read from disk at once.
PIECE = 64 * 1024
RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?")
HEADERS = {
    # The text comes from a machine that may be in foreign hands: a browser must show it and do nothing else with it.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "no-store",
    "Accept-Ranges": "bytes",
}
TEXT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The output, from offset on"},
    206: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The range asked for"},
    403: {"description": "Only operators of the team, and who ordered it, may read outputs"},
    404: {"description": "No such operation, or it ended without any output"},
    416: {"description": "The range begins behind the end"},
}
Offset = Annotated[int, Query(ge=0, le=2**53, description="Bytes to leave out: to follow an output that grows.")]
Range = Annotated[str | None, Header(max_length=128)]


@router.get("/api/patches/{operation_id}/stdout", response_class=Response, responses=TEXT)
async def stdout(
    operation_id: str,
    person: AsPerson,
    control: Control,
    offset: Offset = 0,
    range: Range = None,  # noqa: A002
) -> Response:
    """Show what the script printed; while it runs, what has come so far."""
    return await _show(operation_id, person, control, "stdout", _window(offset, range))


@router.get("/api/patches/{operation_id}/stderr", response_class=Response, responses=TEXT)
async def stderr(
    operation_id: str,
    person: AsPerson,
    control: Control,
    offset: Offset = 0,
    range: Range = None,  # noqa: A002
) -> Response:
    """Show what the script printed to its error output; while it runs, what has come so far."""
    return await _show(operation_id, person, control, "stderr", _window(offset, range))


@router.post(
    "/api/operations/{operation_id}/output",
    status_code=204,
    response_class=Response,
    responses={
        403: {"description": "Another agent's operation"},
        404: {"description": "No such operation"},
        409: {"description": "The operation has ended, or the piece leaves a gap; details.expected tells the offset"},
        503: {"description": "It cannot be stored now; see Retry-After"},
    },
)
async def append(operation_id: str, body: OutputChunk, agent: AsAgent, control: Control) -> Response:
    """Take a piece of a running script's output; the same piece twice counts once."""
    operation = await control.database.read(lambda tx: results.expected(tx, agent, operation_id))
    if Status(operation.status) in ENDED:
        raise Conflict(f"The operation is {operation.status}.", status=operation.status)
    data = body.text.encode("utf-8", "replace")
    await asyncio.to_thread(outputs_of(control).append, operation.id, body.stream, body.offset, data)
    control.streams.nudge(operation.id, operation.batch_id)
    return Response(status_code=204)


Window = tuple[int, int | None, bool]


async def _show(operation_id: str, person: AsPerson, control: Control, stream: Stream, window: Window) -> Response:
    operation, noted = await control.database.read(
        lambda tx: (
            patches.readable(tx, person, operation_id),
            audit.is_fresh(tx, person, "log.read", operation_id, control.clock()),
        )
    )
    if not noted:
        await control.database.write(
            lambda tx: audit.note(tx, "log.read", operation.id, control.clock(), operation.team_id, stream=stream)
        )
    receipt = (operation.result or {}).get("receipt")
    file = await asyncio.to_thread(outputs_of(control).find, operation.id, receipt, stream)
    headers = {**HEADERS, "X-Operation-Status": operation.status}
    if file is None:
        if operation.outputs_dropped_at is not None:
            raise NotFound(f"What the script printed was deleted on {stamp_micros(operation.outputs_dropped_at)}.")
        if Status(operation.status) in ENDED:
            raise NotFound(f"The operation is {operation.status} and left no {stream}.")
        return Response(b"", media_type="text/plain", headers=headers)
    return await asyncio.to_thread(_answer, file, window, headers)


def _window(offset: int, range_header: str | None) -> Window:
    """Return where to begin, the last byte if there is one, and whether a range was asked for (RFC 9110, 14)."""
    found = RANGE.fullmatch(range_header.replace(" ", "")) if range_header else None
    first, last = (int(found.group(1)), int(found.group(2) or 10**18)) if found else (0, -1)
    if last < first:  # a range that means nothing is ignored, as the RFC says
        return offset, None, False
    return first, last, True


def _answer(file: Path, window: Window, headers: dict[str, str]) -> Response:
    size = file.stat().st_size
    start, last, partial = window
    headers["X-Output-Size"] = str(size)
    if partial and start >= size:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    start = min(start, size)
    end = size if last is None else min(size, last + 1)
    headers["Content-Length"] = str(end - start)
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    body = _read(file, start, end)
    return StreamingResponse(body, 206 if partial else 200, headers, media_type="text/plain")


async def _read(file: Path, start: int, end: int) -> AsyncIterator[bytes]:
    """Yield the bytes of a file between two places, even if it grows meanwhile."""
    while start < end and (piece := await asyncio.to_thread(_piece, file, start, min(PIECE, end - start))):
        start += len(piece)
        yield piece


def _piece(file: Path, start: int, size: int) -> bytes:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        return os.pread(descriptor, size, start)
    finally:
        os.close(descriptor)
