"""Runs of playbooks, for people: order, list, look at, follow, cancel."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Body, Header, Query, Request, Response

from nanny_ops.control.api.event import LIMITED, PER_PERSON
from nanny_ops.control.api.limit import tell
from nanny_ops.control.api.output import HEADERS, PIECE
from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.playbook import ABSENT
from nanny_ops.control.api.realtime import SEQUENCE
from nanny_ops.control.api.state import AsPerson, Control, Peer, State
from nanny_ops.control.api.streams import SHARED_LIFETIME, StreamResponse, marked, notice
from nanny_ops.control.playbooks.catalogue import Entry, must_be_there
from nanny_ops.control.playbooks.secret_file import must_be_readable
from nanny_ops.control.services import audit
from nanny_ops.control.services import event as events
from nanny_ops.control.services import playbook_run as service
from nanny_ops.control.services.limit import Quota
from nanny_ops.control.store import playbook_run as store
from nanny_ops.errors import NotFound, RateLimited, Unavailable
from nanny_ops.protocol.playbook_run import PlaybookRun, PlaybookRunRequest, RunStatus

router = APIRouter(prefix="/api/playbook-runs", tags=["playbooks"])
EXAMPLES: dict[str, Any] = {
    "a check": {"value": {"playbook": "facts", "check": True}},
    "a host without agent": {
        "value": {
            "playbook": "rollout_agents",
            "vars": {"rollout_release": "nanny-agent-0.2.0-0f1e2d3c4b5a6978"},
            "new_hosts": [{"name": "pve4", "address": "192.0.2.14"}],
            "host_keys": [
                "192.0.2.14 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBPvY1sFvHnVnTSPmGVxB3YnPmVhSJPnqGmXxk6pP0aT"
            ],
            "limit": ["new"],
            "check": True,
        }
    },
    "some hosts": {"value": {"playbook": "facts", "vars": {"least_free_mb": 1024}, "limit": ["pve1", "tag_web"]}},
}
MISSING: dict[int | str, dict[str, Any]] = {
    403: {"description": "The role does not allow it"},
    404: {"description": "No such run"},
}
PLACED: dict[int | str, dict[str, Any]] = {
    **ABSENT,
    403: {"description": "Only admins of a team run playbooks"},
    404: {"description": "No such playbook or team"},
    409: {"description": "A check must come first, the playbook cannot be run, or too many wait"},
}
TEXT: dict[int | str, dict[str, Any]] = {
    **MISSING,
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "A piece of it, from offset on"},
    503: {"description": "The output lies with another control plane"},
}


@dataclass(frozen=True, kw_only=True)
class Asked(PlaybookRunRequest):
    """What an admin orders; a misspelt field is refused, since without its limit it would mean the fleet."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@router.post("", status_code=201, responses=PLACED)
async def place(
    body: Annotated[Asked, Body(openapi_examples=EXAMPLES)], person: AsPerson, control: Control, response: Response
) -> PlaybookRun:
    """Order a run; needs the role admin.

    One that changes needs a good check of the same playbook, variables and limit before it, or ``no_check_first`` with
    a reason, which is audited.
    """
    await control.database.read(lambda tx: service.aim(tx, person, body))
    entry, digest = await asyncio.to_thread(_found, control, body)
    home, settings, now = control.folders.home, control.settings, control.clock()
    run = await control.database.write(lambda tx: service.place(tx, person, body, entry, digest, home, settings, now))
    response.headers["Location"] = f"/api/playbook-runs/{run.id}"
    return service.rendered(run)


@router.get("")
async def show(
    person: AsPerson,
    control: Control,
    paging: Paging,
    playbook: Annotated[str, Query(max_length=64)] = "",
    status: Annotated[RunStatus | None, Query()] = None,
) -> Listed[PlaybookRun]:
    """List runs, newest first."""
    wanted = {"playbook": playbook, "status": status or ""}
    found, total = await control.database.read(
        lambda tx: store.page(tx, person.teams, paging.limit, paging.offset, **wanted)
    )
    return paging.of([service.rendered(run) for run in found], total)


@router.get("/{run_id}", responses=MISSING)
async def get(run_id: str, person: AsPerson, control: Control) -> PlaybookRun:
    """Show one run with the recap of each host."""
    return service.rendered(await control.database.read(lambda tx: service.visible(tx, person, run_id)))


@router.post("/{run_id}/cancel", responses={**MISSING, 409: {"description": "It has ended"}})
async def cancel(run_id: str, person: AsPerson, control: Control) -> PlaybookRun:
    """End a run with all its processes; needs the role admin."""
    return service.rendered(
        await control.database.write(lambda tx: service.cancel(tx, person, run_id, control.clock()))
    )


@router.get("/{run_id}/events", responses=MISSING)
async def happenings(
    run_id: str,
    person: AsPerson,
    control: Control,
    paging: Paging,
    after: Annotated[int, Query(ge=0, le=2**62, description="Only events behind this seq")] = 0,
) -> Listed[dict[str, Any]]:
    """List what has happened in a run, oldest first: plays, tasks, and each host's result of each."""
    found, total = await control.database.read(
        lambda tx: events.of_run(tx, service.visible(tx, person, run_id).id, paging.limit, paging.offset, after)
    )
    return paging.of(found, total)


@router.get("/{run_id}/stream", status_code=200, response_class=StreamResponse, responses={**LIMITED, **MISSING})
async def stream(
    request: Request,
    run_id: str,
    person: AsPerson,
    control: Control,
    peer: Peer,
    last_event_id: Annotated[str | None, Header(max_length=32)] = None,
) -> StreamResponse:
    """Follow a run, as server-sent events ``record``, from its beginning or from what Last-Event-ID names.

    The last is of the kind ``ended``.
    """
    run = await control.database.read(lambda tx: service.visible(tx, person, run_id))
    if control.streams.owned(person.id) >= PER_PERSON:
        tell(request.scope, Quota(PER_PERSON, 0, control.clock().timestamp() + SHARED_LIFETIME))
        raise RateLimited("Too many streams of yours are open; close one.", retry_after=60)
    known = SEQUENCE.fullmatch(last_event_id or "")
    seen = int(known.group()) if known else None
    opened = control.streams.open(peer, person.id, seen)
    control.streams.share(opened, person.id, [service.subject(run.id)], (service.TOPIC,))
    missed = await control.database.read(lambda tx: events.missed_of_run(tx, run.id, seen))
    told = [(item.seq, data) for item in missed.items if (data := opened.encode(item.seq, item.payload)) is not None]
    if missed.gap is not None:
        told = [(0, marked(notice(missed.gap), missed.upto)), *told]
    control.streams.go_live(opened, told, missed.upto)
    return StreamResponse(control.streams, opened)


@router.get("/{run_id}/output", response_class=Response, responses=TEXT)
async def output(
    run_id: str,
    person: AsPerson,
    control: Control,
    offset: Annotated[int, Query(ge=0, le=2**53, description="Bytes to leave out")] = 0,
) -> Response:
    """Show what Ansible printed, a piece at a time, without secrets; needs the role operator."""
    run, noted = await control.database.read(
        lambda tx: (
            service.readable(tx, person, run_id),
            audit.is_fresh(tx, person, "log.read", run_id, control.clock()),
        )
    )
    if not noted:
        await control.database.write(
            lambda tx: audit.note(tx, "log.read", run.id, control.clock(), run.team_id, stream="output")
        )
    if run.home != control.folders.home:
        raise Unavailable("The output lies with the control plane that carried the run out; ask there.")
    data = await asyncio.to_thread(_piece, control, run.id, offset)
    return Response(data, media_type="text/plain", headers={**HEADERS, "X-Run-Status": run.status})


def _found(control: State, asked: PlaybookRunRequest) -> tuple[Entry, str]:
    must_be_there()
    must_be_readable(control.settings)
    entry = control.catalogue.find(asked.playbook)
    return entry, control.catalogue.digest(entry, asked.vars)


def _piece(control: State, run_id: str, offset: int) -> bytes:
    try:
        with control.folders.of(run_id).output.open("rb") as file:
            file.seek(offset)
            return file.read(PIECE * 4)
    except FileNotFoundError:
        raise NotFound("The run has printed nothing yet.") from None
