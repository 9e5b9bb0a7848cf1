"""What has happened in the fleet: a list for looking back, a stream for following."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request

from nanny_ops.control.api.limit import tell
from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.realtime import SEQUENCE, STREAM
from nanny_ops.control.api.state import AsPerson, Control, Peer
from nanny_ops.control.api.streams import SHARED_LIFETIME, StreamResponse, marked, notice
from nanny_ops.control.services import event as service
from nanny_ops.control.services.change import TOPIC, subject
from nanny_ops.control.services.limit import Quota
from nanny_ops.errors import RateLimited

router = APIRouter(prefix="/api/proxmox/events", tags=["proxmox"])
#: Streams one person may hold open.
PER_PERSON = 20
LIMITED: dict[int | str, dict[str, Any]] = {
    **STREAM,
    429: {"description": f"More than {PER_PERSON} streams of one person"},
}


@router.get("")
async def events(
    who: AsPerson,
    control: Control,
    page: Paging,
    kind: Annotated[str, Query(max_length=64, description="guest.started, or guest for all of guests")] = "",
    about: Annotated[str, Query(max_length=255, description="An object such as lxc/101 or node/pve1")] = "",
    after: Annotated[int, Query(ge=0, le=2**62, description="Only events behind this seq")] = 0,
) -> Listed[dict[str, Any]]:
    """List what has happened, newest first; ``seq`` is the order, and what the stream goes on from."""
    found, total = await control.database.read(
        lambda tx: service.page(tx, who, page.limit, page.offset, kind, about, after)
    )
    return page.of(found, total)


@router.get("/stream", status_code=200, response_class=StreamResponse, responses=LIMITED)
async def stream(
    request: Request,
    who: AsPerson,
    control: Control,
    peer: Peer,
    last_event_id: Annotated[str | None, Header(max_length=32)] = None,
) -> StreamResponse:
    """Follow what happens, as server-sent events ``record``.

    With Last-Event-ID what was missed comes first, or one ``gap`` where it is not kept any more.
    """
    if control.streams.owned(who.id) >= PER_PERSON:
        tell(request.scope, Quota(PER_PERSON, 0, control.clock().timestamp() + SHARED_LIFETIME))
        raise RateLimited("Too many streams of yours are open; close one.", retry_after=60)
    known = SEQUENCE.fullmatch(last_event_id or "")
    seen = int(known.group()) if known else None
    opened = control.streams.open(peer, who.id, seen)
    control.streams.share(opened, who.id, [subject(team) for team in who.teams], (TOPIC,))
    missed = await control.database.read(lambda tx: service.missed(tx, who, seen))
    told = [(item.seq, data) for item in missed.items if (data := opened.encode(item.seq, item.payload)) is not None]
    if missed.gap is not None:
        told = [(0, marked(notice(missed.gap), missed.upto)), *told]
    control.streams.go_live(opened, told, missed.upto)
    return StreamResponse(control.streams, opened)
