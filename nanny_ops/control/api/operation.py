"""An agent's work plane: what is open, and who may begin it."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from nanny_ops.control.api.state import AsAgent, Control, State
from nanny_ops.control.services import lease
from nanny_ops.control.services import operation as service
from nanny_ops.control.services.capacity import bounds_of
from nanny_ops.errors import Forbidden, TargetBusy
from nanny_ops.protocol.operation import Ack, AckAnswer, Renew

router = APIRouter(tags=["operations"])
ANSWERS: dict[int | str, dict[str, Any]] = {
    403: {"description": "Another agent's operation"},
    404: {"description": "No such operation"},
}
WAITS = {
    **ANSWERS,
    423: {"description": "Another operation has the target, too many run, or another claim the lease; see Retry-After"},
}
FENCED = {**ANSWERS, 409: {"description": "Another holds the lease"}}


@router.get("/api/agent/{agent_id}/operations", responses=ANSWERS)
async def open_operations(
    agent_id: str, agent: AsAgent, control: Control, _state: Annotated[Literal["open"], Query(alias="state")] = "open"
) -> dict[str, Any]:
    """List what the agent still has to do, oldest first; each item is a channel and a record."""
    if agent_id != agent.id:
        raise Forbidden("An agent may only ask for its own operations.")
    return {"items": await control.database.read(lambda tx: service.open_for(tx, agent))}


@router.post("/api/operations/{operation_id}/ack", responses=WAITS)
async def acknowledge(operation_id: str, body: Ack, agent: AsAgent, control: Control) -> dict[str, Any]:
    """Note that the agent has the order, or let it begin; ``proceed`` says whether it should go on."""
    bounds = bounds_of(control.settings)
    reply = await control.database.write(
        lambda tx: lease.acknowledge(tx, agent, operation_id, body, control.clock(), bounds)
    )
    return asdict(told(control, reply))


@router.post("/api/operations/{operation_id}/renew", responses=FENCED)
async def renew(operation_id: str, agent: AsAgent, control: Control, body: Renew | None = None) -> dict[str, Any]:
    """Tell that a running operation is still worked on; ``proceed`` says whether it should go on."""
    said, now = body or Renew(), control.clock()
    return asdict(await control.database.write(lambda tx: lease.renew(tx, agent, operation_id, said, now)))


def told(control: State, reply: lease.Reply) -> AckAnswer:
    """Return the answer of a reply; an end is counted. Raises what says to wait."""
    if reply.ended is not None:
        service.tell_end(control.counts, reply.ended)
    if reply.answer is None:
        control.counts.deferrals.labels(reply.bound).inc()
        raise reply.wait or TargetBusy
    return reply.answer
