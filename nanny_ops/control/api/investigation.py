"""Investigations: one address that creates them and takes model turns, as the guide has it."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from pydantic import TypeAdapter, ValidationError

from nanny_ops.control.api.legacy import is_legacy
from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.problem import from_validation
from nanny_ops.control.api.state import AsAgent, AsAnyone, AsPerson, Control
from nanny_ops.control.services import investigation as service
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import operation as store
from nanny_ops.errors import BadRequest, Conflict, NotConfigured
from nanny_ops.protocol.investigation import Investigation, InvestigationReport, InvestigationRequest
from nanny_ops.protocol.operation import Status

router = APIRouter(prefix="/api/investigations", tags=["investigations"])
REQUEST = TypeAdapter(InvestigationRequest)
EXAMPLES: dict[str, Any] = {
    "create": {"value": {"agent_id": "agent-123", "issue": "PostgreSQL answers slowly", "priority": "high"}},
    "turn": {
        "value": {
            "model": "tensorzero::function_name::diagnose_and_heal",
            "messages": [{"role": "user", "content": "Issue: PostgreSQL is slow"}],
            "investigation_id": "inv-550e8400-e29b-41d4-a716-446655440000",
        }
    },
}
MISSING: dict[int | str, dict[str, Any]] = {
    403: {"description": "Another agent's, or the role does not allow it"},
    404: {"description": "No such investigation or agent"},
}
CREATED: dict[int | str, dict[str, Any]] = {
    **MISSING,
    400: {"description": "Messages without an investigation_id, or, for agents, a field with a wrong value"},
    409: {"description": "The investigation has ended, or the agent is revoked"},
    503: {"description": "A model turn, and no model is configured"},
}


@router.post("", status_code=201, responses=CREATED)
async def create(
    body: Annotated[dict[str, Any], Body(openapi_examples=EXAMPLES)], who: AsAnyone, control: Control
) -> Investigation:
    """Ask for an investigation; with ``investigation_id`` the body is a model turn of one that is open."""
    named = body.get("investigation_id")
    if isinstance(named, str) and named:
        try:
            await control.database.read(lambda tx: service.take_turn(tx, who, named))
        except NotConfigured as wrong:
            if isinstance(who, HostAgent) and is_legacy(who):
                # It would ask again for ever: to it every 5xx is a reason to wait.
                declined = InvestigationReport(outcome="unsupported", reason=wrong.message)
                await report(named, declined, who, control)
                raise Conflict(wrong.message) from None
            raise
    if "messages" in body:
        raise BadRequest("A model turn needs the investigation_id of an open investigation.")
    try:
        request = REQUEST.validate_python(body)
    except ValidationError as wrong:
        raise from_validation(list(wrong.errors(include_url=False, include_input=False))) from None
    return service.rendered(await control.database.write(lambda tx: service.create(tx, who, request, control.clock())))


@router.get("")
async def show(
    person: AsPerson,
    control: Control,
    paging: Paging,
    agent_id: Annotated[str | None, Query(max_length=64)] = None,
    status: Status | None = None,
) -> Listed[Investigation]:
    """List investigations, newest first; filters must all hold."""
    filters = {"agent_id": agent_id, "status": status and status.value}
    given = {name: value for name, value in filters.items() if value is not None}
    found, total = await control.database.read(
        lambda tx: store.page(tx, service.KIND, person.teams, paging.limit, paging.offset, **given)
    )
    return paging.of([service.rendered(operation) for operation in found], total)


@router.get("/{investigation_id}", responses=MISSING)
async def get(investigation_id: str, who: AsAnyone, control: Control) -> Investigation:
    """Show how an investigation stands, to people of the team and to its agent."""
    return service.rendered(await control.database.read(lambda tx: service.visible(tx, who, investigation_id)))


@router.post("/{investigation_id}/report", responses=MISSING)
async def report(investigation_id: str, body: InvestigationReport, agent: AsAgent, control: Control) -> Investigation:
    """Say why an investigation ended; one that has ended before stays as it is."""
    operation, new = await control.database.write(
        lambda tx: service.report(tx, agent, investigation_id, body, control.clock())
    )
    if new:
        operations.tell_end(control.counts, operation)
    return service.rendered(operation)
