"""Reboots for people: order, list, look at, cancel."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Body, Header, Response

from nanny_ops.control.api.order import KEY_LENGTH, Chosen
from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.state import AsAgent, AsPerson, Control
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import reboot as service
from nanny_ops.control.store import operation as store
from nanny_ops.protocol.reboot import Reboot, RebootRequest, RebootResult, RebootResultAnswer

router = APIRouter(prefix="/api/reboots", tags=["reboots"])
EXAMPLES: dict[str, Any] = {
    "a container": {"value": {"agent_id": "agent-123", "lxc_id": "lxc-100", "reason": "new libc"}},
    "the host": {"value": {"agent_id": "agent-123", "timeout_seconds": 900}},
}
RESULTS: dict[str, Any] = {
    "done": {"value": {"outcome": "ok", "reason": "It runs anew.", "before": "0c9b", "after": "77af", "claim": "c"}},
    "not done": {"value": {"outcome": "not_rebooted", "reason": "Its boot id is the same.", "claim": "c"}},
}
MISSING: dict[int | str, dict[str, Any]] = {
    403: {"description": "The role does not allow it"},
    404: {"description": "No such reboot or agent"},
}
PLACED: dict[int | str, dict[str, Any]] = {
    **MISSING,
    200: {"description": "The reboot that the same Idempotency-Key made before", "model": Reboot},
    409: {
        "description": "The target has an open reboot, the agent is revoked or does not carry out reboots, or the key "
        "was used for another request"
    },
}


@dataclass(frozen=True, kw_only=True)
class Order(RebootRequest):
    """What an operator orders; a misspelt field is refused, since without its guest the host would be rebooted."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@router.post("", status_code=201, responses=PLACED)
async def place(
    body: Annotated[Order, Body(openapi_examples=EXAMPLES)],
    person: AsPerson,
    control: Control,
    response: Response,
    idempotency_key: Annotated[str, Header(max_length=KEY_LENGTH)] = "",
) -> Reboot:
    """Order the reboot of a host or a guest; needs the role operator."""
    placed, new = await control.database.write(
        lambda tx: service.place(tx, person, body, idempotency_key, control.clock())
    )
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"/api/reboots/{placed.id}"
    return service.rendered(placed)


@router.get("")
async def show(
    person: AsPerson,
    control: Control,
    paging: Paging,
    filters: Chosen,
) -> Listed[Reboot]:
    """List reboots, newest first; filters must all hold."""
    found, total = await control.database.read(
        lambda tx: store.page(tx, service.KIND, person.teams, paging.limit, paging.offset, **filters)
    )
    return paging.of([service.rendered(operation) for operation in found], total)


@router.get("/{reboot_id}", responses=MISSING)
async def get(reboot_id: str, person: AsPerson, control: Control) -> Reboot:
    """Show how a reboot stands."""
    return service.rendered(await control.database.read(lambda tx: service.visible(tx, person, reboot_id)))


@router.post("/{reboot_id}/cancel", responses={**MISSING, 409: {"description": "It was acknowledged, or has ended"}})
async def cancel(reboot_id: str, person: AsPerson, control: Control) -> Reboot:
    """Take an order back that was not acknowledged yet. Needs the role operator."""
    operation, new = await control.database.write(lambda tx: service.withdraw(tx, person, reboot_id, control.clock()))
    if new:
        operations.tell_end(control.counts, operation)
    return service.rendered(operation)


@router.post("/{reboot_id}/result", responses={**MISSING, 409: {"description": "Another holds the lease"}})
async def report(
    reboot_id: str, body: Annotated[RebootResult, Body(openapi_examples=RESULTS)], agent: AsAgent, control: Control
) -> RebootResultAnswer:
    """Take what a reboot came to; idempotent, the first result stands."""
    operation, new = await control.database.write(lambda tx: service.take(tx, agent, reboot_id, body, control.clock()))
    if new:
        operations.tell_end(control.counts, operation)
    return RebootResultAnswer(success=True, new=new)
