"""Readings of hosts: taken in from agents, shown to people."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.types import Receive, Scope, Send

from nanny_ops.control.api.action import act, speak, spoken
from nanny_ops.control.api.body import Record, read, read_of
from nanny_ops.control.api.limit import admit
from nanny_ops.control.api.state import AsPerson, Control, State, bearer
from nanny_ops.control.services import agent as agents
from nanny_ops.control.services import metrics as service
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.errors import Forbidden, NotFound
from nanny_ops.protocol.legacy import GUIDE
from nanny_ops.protocol.metrics import SystemMetrics

router = APIRouter(tags=["metrics"])
READING = Record(
    SystemMetrics,
    {
        "agent_id": "agent-550e8400-e29b-41d4-a716-446655440000",
        "timestamp": "2026-01-31T02:00:00Z",
        "hostname": "pve1",
        "platform": "debian",
        "platform_family": "debian",
        "platform_version": "12.8",
        "kernel_version": "6.8.12-4-pve",
        "cpu_usage": 12.5,
        "cpu_cores": 16,
        "memory_usage": 31234.5,
        "memory_total": 68719476736,
        "memory_used": 32751652864,
        "memory_free": 4294967296,
        "memory_available": 35433480192,
        "disk_usage": 71.4,
        "disk_total": 536870912000,
        "disk_used": 363998478336,
        "disk_free": 146028888064,
    },
    strict=True,
)
TAKEN = b'{"success":true,"message":"Metrics ingested successfully"}'
HEADERS = ((b"content-type", b"application/json"), (b"content-length", str(len(TAKEN)).encode()))
REFUSALS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Written", "content": {"application/json": {"example": {"success": True, "message": ""}}}},
    400: {"description": "The body is not JSON, or a field has a wrong value; details name it"},
    401: {"description": "No valid token"},
    403: {"description": "A person's token, another agent's reading, or a revoked agent"},
    404: {"description": "An action about an agent that your teams do not have"},
    409: {"description": "An action that the present state does not allow"},
    413: {"description": "More than 1 MiB"},
    429: {"description": "Too many readings of the last minute, or of an earlier time"},
}
UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "No such agent in your teams, or no reading"}}
Instant = Annotated[str | None, Query(max_length=64, description="ISO 8601", examples=["2026-01-31T02:00:00Z"])]


@router.post("/api/agent", responses=REFUSALS, response_class=Response, openapi_extra=READING.documented())
async def ingest(request: Request, control: Control) -> Response:
    """Take in one reading of a host; it is written when the answer comes, and the same instant is written once.

    A body with an ``action`` is of the dialect that agents spoke before the guide, and is answered in that dialect.
    """
    raw = await read_of(request)
    if (said := spoken(raw)) is not None:
        return await act(request, said, partial(_keep, control, request.scope))
    await _take(control, request.headers.get("authorization"), raw, request.scope)
    return Response(TAKEN, media_type="application/json")


async def ingest_directly(control: State, scope: Scope, receive: Receive, send: Send) -> None:
    """Do what :func:`ingest` does without the frame's machinery, which costs more than the work itself."""
    authorization = length = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = value.decode("latin-1")
        elif name == b"content-length":
            length = value
    raw = await read(receive, length)
    if (said := spoken(raw)) is not None:
        answer = await act(Request(scope, receive), said, partial(_keep, control, scope))
        await answer(scope, receive, send)
        return
    await _take(control, authorization, raw, scope)
    await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
    await send({"type": "http.response.body", "body": TAKEN})


async def _take(control: State, authorization: str | None, raw: bytes, scope: Scope) -> None:
    who, _ = await control.sessions.resolve(bearer(authorization), control.clock())
    scope["state"]["principal"] = who
    if not isinstance(who, HostAgent):
        raise Forbidden("This needs an agent's token; the token given is a person's.")
    reading = READING.parse(raw)
    await _keep(control, scope, who, reading, raw)
    if who.dialect != GUIDE:
        await speak(control, who.id, GUIDE)


async def _keep(control: State, scope: Scope, who: HostAgent, reading: SystemMetrics, raw: bytes) -> None:
    now = control.clock()

    def within_limits(at: datetime) -> None:
        admit(scope, control.limits.reading(who.id, at.timestamp(), now.timestamp()))

    await control.readings.take(control.database, who, reading, raw, now, within_limits)


@router.get("/api/agent/{agent_id}/metrics", responses=UNKNOWN)
async def history(
    agent_id: str,
    who: AsPerson,
    control: Control,
    since: Instant = None,
    until: Instant = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> Response:
    """List an agent's readings, newest first, from ``since`` to before ``until``."""
    between = service.between(since, until)
    found, total = await control.database.read(
        lambda tx: service.page(tx, agents.seen_by(tx, who, agent_id), between, limit, offset)
    )
    head = f'{{"total":{total},"limit":{limit},"offset":{offset},"items":['.encode()
    body = head + b",".join(map(service.rendered, found)) + b"]}"
    return Response(body, media_type="application/json", headers={"X-Total-Count": str(total)})


@router.get("/api/agent/{agent_id}/metrics/latest", responses=UNKNOWN)
async def latest(agent_id: str, who: AsPerson, control: Control) -> Response:
    """Show an agent's newest reading."""
    found, _ = await control.database.read(
        lambda tx: service.page(tx, agents.seen_by(tx, who, agent_id), (None, None), 1, 0)
    )
    if not found:
        raise NotFound("This agent has sent no readings that are still kept.")
    return Response(service.rendered(found[0]), media_type="application/json")
