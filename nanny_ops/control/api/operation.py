"""An agent's work plane: what is open, and that it was received or begun."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from nanny_ops.control.api.state import AsAgent, Control
from nanny_ops.control.services import operation as service
from nanny_ops.errors import Forbidden
from nanny_ops.protocol.operation import Ack

router = APIRouter(tags=["operations"])
ANSWERS: dict[int | str, dict[str, Any]] = {
    403: {"description": "Another agent's operation"},
    404: {"description": "No such operation"},
}


@router.get("/api/agent/{agent_id}/operations", responses=ANSWERS)
async def open_operations(
    agent_id: str, agent: AsAgent, control: Control, _state: Annotated[Literal["open"], Query(alias="state")] = "open"
) -> dict[str, Any]:
    """List what the agent still has to do, oldest first; each item is a channel and a record."""
    if agent_id != agent.id:
        raise Forbidden("An agent may only ask for its own operations.")
    return {"items": await control.database.read(lambda tx: service.open_for(tx, agent))}


@router.post("/api/operations/{operation_id}/ack", responses=ANSWERS)
async def acknowledge(operation_id: str, body: Ack, agent: AsAgent, control: Control) -> dict[str, Any]:
    """Note that the agent has the order, or has begun it; ``proceed`` says whether it should go on."""
    answer = await control.database.write(
        lambda tx: service.acknowledge(tx, agent, operation_id, body, control.clock())
    )
    return asdict(answer)


@router.post("/api/operations/{operation_id}/renew", responses=ANSWERS)
async def renew(operation_id: str, agent: AsAgent, control: Control) -> dict[str, Any]:
    """Tell that a running operation is still worked on; ``proceed`` says whether it should go on."""
    answer = await control.database.write(lambda tx: service.renew(tx, agent, operation_id, control.clock()))
    return asdict(answer)
