"""The audit's log over HTTP, for admins: a page at a time, or all of it as lines of JSON."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.state import AsPerson, Control
from nanny_ops.control.services import audit as service
from nanny_ops.control.store import audit as store
from nanny_ops.protocol.audit import AuditEntry
from nanny_ops.protocol.clock import micros, parse_stamp

router = APIRouter(prefix="/api/audit", tags=["audit"])
ADMINS: dict[int | str, dict[str, Any]] = {403: {"description": "Only admins may read it"}}
LINES: dict[int | str, dict[str, Any]] = {
    **ADMINS,
    200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}, "description": "One object per line"},
}
Word = Annotated[str, Query(max_length=128)]
Instant = Annotated[str | None, Query(max_length=64, description="ISO 8601", examples=["2026-01-31T02:00:00Z"])]


@router.get("", responses=ADMINS)
async def show(
    person: AsPerson,
    control: Control,
    paging: Paging,
    action: Word = "",
    actor: Word = "",
    thing: Annotated[str, Query(max_length=128, alias="object")] = "",
    since: Instant = None,
    until: Instant = None,
) -> Listed[AuditEntry]:
    """List who did what, newest first; filters must all hold. Admins of a team see what concerns it."""
    narrower = {"action": action, "actor": actor, "object": thing, "since": _micros(since), "until": _micros(until)}
    wanted = service.wanted(person, **narrower)
    found, total = await control.database.read(lambda tx: store.page(tx, wanted, paging.limit, paging.offset))
    return paging.of([service.rendered(row) for row in found], total)


@router.get("/export", response_class=StreamingResponse, responses=LINES)
async def export(person: AsPerson, control: Control) -> StreamingResponse:
    """Hand out every entry with its hashes, oldest first; kept elsewhere, it proves what the database once said."""
    wanted = service.wanted(person)
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(
        service.lines(control.database, wanted), headers=headers, media_type="application/x-ndjson"
    )


def _micros(text: str | None) -> int | None:
    instant: datetime | None = parse_stamp(text) if text else None
    return None if instant is None else micros(instant)
