"""Updates of agents: order, list, look at, cancel; and the word of the agent."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Body, Response

from nanny_ops.control.api.order import Chosen
from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.state import AsAgent, AsPerson, Control
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import update as service
from nanny_ops.control.store import operation as store
from nanny_ops.protocol.update import Update, UpdateAnswer, UpdateRequest, UpdateResult

router = APIRouter(prefix="/api/updates", tags=["updates"])
EXAMPLES: dict[str, Any] = {"to the newest": {"value": {"agent_id": "agent-123"}}}
RESULTS: dict[str, Any] = {"done": {"value": {"outcome": "ok", "version": "1.2.3"}}}
MISSING: dict[int | str, dict[str, Any]] = {
    403: {"description": "The role does not allow it, or another agent's update"},
    404: {"description": "No such update, agent or release"},
}


@dataclass(frozen=True, kw_only=True)
class Order(UpdateRequest):
    """What an operator orders; a misspelt field is refused."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@router.post("", status_code=201, responses={**MISSING, 409: {"description": "An update is open, or the agent cannot"}})
async def place(
    body: Annotated[Order, Body(openapi_examples=EXAMPLES)], person: AsPerson, control: Control, response: Response
) -> Update:
    """Order that an agent installs a release and runs it; needs the role operator."""
    placed = await control.database.write(lambda tx: service.place(tx, person, body, control.clock()))
    response.headers["Location"] = f"/api/updates/{placed.id}"
    return service.rendered(placed)


@router.get("")
async def show(
    person: AsPerson,
    control: Control,
    paging: Paging,
    filters: Chosen,
) -> Listed[Update]:
    """List updates, newest first; filters must all hold."""
    found, total = await control.database.read(
        lambda tx: store.page(tx, service.KIND, person.teams, paging.limit, paging.offset, **filters)
    )
    return paging.of([service.rendered(operation) for operation in found], total)


@router.get("/{update_id}", responses=MISSING)
async def get(update_id: str, person: AsPerson, control: Control) -> Update:
    """Show how an update stands."""
    return service.rendered(await control.database.read(lambda tx: service.visible(tx, person, update_id)))


@router.post("/{update_id}/cancel", responses={**MISSING, 409: {"description": "It has begun, or has ended"}})
async def cancel(update_id: str, person: AsPerson, control: Control) -> Update:
    """Take an order back that has not begun. Needs the role operator."""
    operation, new = await control.database.write(lambda tx: service.withdraw(tx, person, update_id, control.clock()))
    if new:
        operations.tell_end(control.counts, operation)
    return service.rendered(operation)


@router.post("/{update_id}/result", responses={**MISSING, 409: {"description": "Another holds the lease"}})
async def report(
    update_id: str, body: Annotated[UpdateResult, Body(openapi_examples=RESULTS)], agent: AsAgent, control: Control
) -> UpdateAnswer:
    """Take what an update came to; idempotent, the first result stands."""
    operation, new = await control.database.write(lambda tx: service.take(tx, agent, update_id, body, control.clock()))
    if new:
        operations.tell_end(control.counts, operation)
    return UpdateAnswer(success=True, new=new)
