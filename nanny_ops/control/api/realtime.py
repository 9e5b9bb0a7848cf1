"""The agents' stream: opened with GET, given its channels with POST."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from starlette.types import Receive, Scope, Send

from nanny_ops.control.api.legacy import frame, is_legacy, is_unbegun
from nanny_ops.control.api.legacy import greeting as legacy_greeting
from nanny_ops.control.api.limit import tell
from nanny_ops.control.api.state import AsAgent, Control, Peer, State, peer_of, session
from nanny_ops.control.api.streams import UNBOUND_LIFETIME, StreamResponse, marked, notice
from nanny_ops.control.services import duplicate
from nanny_ops.control.services import realtime as service
from nanny_ops.control.services.limit import Quota
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.errors import Forbidden, NotFound, RateLimited, UnknownChannel
from nanny_ops.protocol.realtime import CHANNELS, Gap, Subscribe

router = APIRouter(prefix="/api/realtime", tags=["realtime"])
#: What the server gives as an event's id; anything else a listener brings is not ours.
SEQUENCE = re.compile(r"[0-9]{1,18}")
#: Streams one address may hold open without having subscribed.
UNBOUND_PER_PEER = 100
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}, "description": "Events until either side closes"}
}


@router.get("", status_code=200, response_class=StreamResponse, responses=STREAM)
async def open_stream(
    request: Request,
    control: Control,
    peer: Peer,
    last_event_id: Annotated[str | None, Header(max_length=32)] = None,
) -> StreamResponse:
    """Open a stream; its first event ``connect`` carries the clientId to subscribe with.

    A token may be sent, and then binds the stream to its holder.
    """
    return await _open(request, control, peer, last_event_id)


async def open_directly(control: State, scope: Scope, receive: Receive, send: Send) -> None:
    """Do what :func:`open_stream` does; the frames of a router would stay in memory as long as the stream is open."""
    request = Request(scope)
    response = await _open(request, control, peer_of(request), request.headers.get("last-event-id"))
    del request
    await response(scope, receive, send)


async def _open(request: Request, control: State, peer: str, last_event_id: str | None) -> StreamResponse:
    who = (await session(request))[0] if "authorization" in request.headers else None
    owner = who.id if who is not None else None
    if owner is None and control.streams.unbound(peer) >= UNBOUND_PER_PEER:
        tell(request.scope, Quota(UNBOUND_PER_PEER, 0, control.clock().timestamp() + UNBOUND_LIFETIME))
        raise RateLimited(
            "Too many streams are open from this address without a subscription.", retry_after=UNBOUND_LIFETIME
        )
    known = SEQUENCE.fullmatch(last_event_id or "")
    seen = int(known.group()) if known else None
    stream = control.streams.open(peer, owner, seen)
    if is_legacy(who):
        stream.opening = legacy_greeting(stream.client_id)
    return StreamResponse(control.streams, stream)


@router.post(
    "",
    status_code=204,
    response_class=Response,
    responses={
        400: {"description": "Unknown channel"},
        403: {"description": "The stream belongs to somebody else"},
        404: {"description": "No stream is open under this clientId"},
    },
)
async def subscribe(body: Subscribe, agent: AsAgent, control: Control) -> Response:
    """Bind a stream to the agent and to channels; what it has missed is sent first."""
    unknown = [channel for channel in body.subscriptions if channel not in CHANNELS]
    if unknown:
        raise UnknownChannel(f"There is no channel '{unknown[0]}'; channels are {', '.join(CHANNELS)}.")
    stream = control.streams.get(body.clientId)
    if stream is None:
        raise NotFound("No stream is open under this clientId; open one with GET /api/realtime.")
    if stream.owner not in {None, agent.id}:
        raise Forbidden("This stream was opened by somebody else.")
    stream.translate = frame if is_legacy(agent) else None
    replaced = control.streams.bind(stream, agent.id, agent.id, frozenset(body.subscriptions))
    missed = await control.database.read(
        lambda tx: service.missed(tx, agent, frozenset(body.subscriptions), stream.last_seen)
    )
    items = [item for item in missed.items if not is_legacy(agent) or is_unbegun(item.payload)]
    told = [(item.seq, data) for item in items if (data := stream.encode(item.seq, item.payload)) is not None]
    if missed.gap is not None and stream.translate is None:
        told = _after(missed.gap, told)
    control.streams.go_live(stream, told, missed.upto)
    if replaced:
        await _note_replacement(control, agent)
    return Response(status_code=204)


def _after(gap: Gap, frames: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Put the notice first. The last frame carries the id, so that the notice comes once and nothing open is lost."""
    *rest, last = notice(gap), *(data for _, data in frames)
    return [(0, data) for data in (*rest, marked(last, gap.resumes_after))]


async def _note_replacement(control: State, agent: HostAgent) -> None:
    now = control.clock()
    if control.replacements.note(agent.id, now):
        await control.database.write(lambda tx: duplicate.flag(tx, agent.id, duplicate.REPLACED, now))
