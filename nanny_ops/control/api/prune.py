"""Removal of old snapshots of ours, for people and agents: preview, order, list, look at, cancel, report."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Body, Response

from nanny_ops.control.api.order import Chosen
from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.state import AsAgent, AsPerson, Control
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import prune as service
from nanny_ops.control.store import operation as store
from nanny_ops.protocol.prune import Prune, PruneAnswer, PruneRequest, PruneResult, Pruning

router = APIRouter(prefix="/api/prunes", tags=["snapshots"])
EXAMPLES: dict[str, Any] = {
    "a preview of what the settings say": {"value": {"dry": True}},
    "all but the newest of a cluster": {"value": {"cluster": "lab", "keep": 1}},
    "those of a guest that are older than a week": {"value": {"guest_id": "guest-123", "older_than_hours": 168}},
}
RESULTS: dict[str, Any] = {
    "done": {
        "value": {
            "outcome": "ok",
            "reason": "1 snapshot was removed.",
            "removals": [{"name": "nanny-20261121093000-1f2e", "outcome": "removed"}],
            "claim": "c",
        }
    },
    "in part": {
        "value": {
            "outcome": "partial",
            "reason": "1 of 2 snapshots was removed.",
            "removals": [
                {"name": "nanny-20261121093000-1f2e", "outcome": "removed"},
                {"name": "nanny-20261120093000-77aa", "outcome": "failed", "reason": "dataset is busy"},
            ],
            "claim": "c",
        }
    },
}
MISSING: dict[int | str, dict[str, Any]] = {
    403: {"description": "The role does not allow it"},
    404: {"description": "No such order"},
}
PLACED: dict[int | str, dict[str, Any]] = {
    200: {"description": "A preview, or there was nothing to order", "model": Pruning},
    403: {"description": "The role does not allow it"},
    404: {"description": "No such guest, agent or cluster"},
}


@dataclass(frozen=True, kw_only=True)
class Asked(PruneRequest):
    """What an operator asks for; a misspelt field is refused, since without its guest all would be meant."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@router.post("", status_code=201, responses=PLACED)
async def place(
    body: Annotated[Asked, Body(openapi_examples=EXAMPLES)], person: AsPerson, control: Control, response: Response
) -> Pruning:
    """Order the removal of snapshots that are too old or too many, one order for each guest; needs the role operator.

    What should go and stays is told with the reason. With ``dry`` nothing is ordered.
    """
    usual = service.Usual(control.settings.snapshot_keep, control.settings.snapshot_max_age_hours)
    answer, placed = await control.database.write(lambda tx: service.order(tx, person, body, usual, control.clock()))
    response.status_code = 201 if placed else 200
    return answer


@router.get("")
async def show(
    person: AsPerson,
    control: Control,
    paging: Paging,
    filters: Chosen,
) -> Listed[Prune]:
    """List orders, newest first; filters must all hold."""
    found, total = await control.database.read(
        lambda tx: store.page(tx, service.KIND, person.teams, paging.limit, paging.offset, **filters)
    )
    return paging.of([service.rendered(operation) for operation in found], total)


@router.get("/{prune_id}", responses=MISSING)
async def get(prune_id: str, person: AsPerson, control: Control) -> Prune:
    """Show an order and what became of each of its snapshots."""
    return service.rendered(await control.database.read(lambda tx: service.visible(tx, person, prune_id)))


@router.post("/{prune_id}/cancel", responses={**MISSING, 409: {"description": "It has begun, or has ended"}})
async def cancel(prune_id: str, person: AsPerson, control: Control) -> Prune:
    """Take an order back that has not begun. Needs the role operator."""
    operation, new = await control.database.write(lambda tx: service.withdraw(tx, person, prune_id, control.clock()))
    if new:
        operations.tell_end(control.counts, operation)
    return service.rendered(operation)


@router.post("/{prune_id}/result", responses={**MISSING, 409: {"description": "Another holds the lease"}})
async def report(
    prune_id: str, body: Annotated[PruneResult, Body(openapi_examples=RESULTS)], agent: AsAgent, control: Control
) -> PruneAnswer:
    """Take what an order came to; idempotent, the first result stands."""
    operation, new = await control.database.write(lambda tx: service.take(tx, agent, prune_id, body, control.clock()))
    if new:
        operations.tell_end(control.counts, operation)
    return PruneAnswer(success=True, new=new)
