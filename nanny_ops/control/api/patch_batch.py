"""Many patch orders at once, for people: preview, place, list, look at, cancel."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Body, Header, Response

from nanny_ops.control.api.order import KEY_LENGTH
from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.state import AsPerson, Control
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import patch_batch as service
from nanny_ops.control.services import patch_option as options
from nanny_ops.protocol.patch_batch import BatchRequest, PatchBatch

router = APIRouter(prefix="/api/patch-batches", tags=["patches"])
EXAMPLES: dict[str, Any] = {
    "what has a tag, without one": {
        "value": {"order": {"mode": "dry-run"}, "select": {"tags": ["web"]}, "exclude": {"vmids": [100]}, "dry": True}
    },
    "security updates of a range": {
        "value": {
            "order": {"mode": "apply", "security_only": True},
            "select": {"ranges": ["100-199"], "updates": "security"},
        }
    },
}
MISSING: dict[int | str, dict[str, Any]] = {
    403: {"description": "The role does not allow it"},
    404: {"description": "No such batch"},
}
PLACED: dict[int | str, dict[str, Any]] = {
    200: {"description": "A preview, or the batch that the same Idempotency-Key made before", "model": PatchBatch},
    403: {"description": "The role does not allow it"},
    404: {"description": "No such team or script"},
    409: {"description": "The key was used for another request"},
}


@dataclass(frozen=True, kw_only=True)
class Asked(BatchRequest):
    """What an operator orders; a misspelt field is refused, since without its selection it would mean too much."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@router.post("", status_code=201, responses=PLACED)
async def place(
    body: Annotated[Asked, Body(openapi_examples=EXAMPLES)],
    person: AsPerson,
    control: Control,
    response: Response,
    idempotency_key: Annotated[str, Header(max_length=KEY_LENGTH)] = "",
) -> PatchBatch:
    """Order a patch of all targets that fit, each an order of its own; needs the role operator.

    What fits and is left out is told with the reason. With ``dry`` nothing is placed.
    """
    usual = control.settings
    terms = options.settled(body.order, usual.snapshot_keep, usual.snapshot_max_age_hours)
    asked = replace(body, order=terms)
    batch, new = await control.database.write(
        lambda tx: service.place(tx, person, asked, idempotency_key, control.clock())
    )
    response.status_code = 201 if new and not batch.dry else 200
    if not batch.dry:
        response.headers["Location"] = f"/api/patch-batches/{batch.id}"
    return batch


@router.get("")
async def show(person: AsPerson, control: Control, paging: Paging) -> Listed[PatchBatch]:
    """List batches, newest first, without their targets."""
    found, total = await control.database.read(lambda tx: service.page(tx, person, paging.limit, paging.offset))
    return paging.of(found, total)


@router.get("/{batch_id}", responses=MISSING)
async def get(batch_id: str, person: AsPerson, control: Control) -> PatchBatch:
    """Show a batch: each order and how it stands, what was left out and why."""
    return await control.database.read(lambda tx: service.detail(tx, service.visible(tx, person, batch_id)))


@router.post("/{batch_id}/cancel", responses=MISSING)
async def cancel(batch_id: str, person: AsPerson, control: Control) -> PatchBatch:
    """Take back every order of a batch that has not ended; what runs is ended by its agents. Needs operator."""
    batch, ended = await control.database.write(lambda tx: service.withdraw(tx, person, batch_id, control.clock()))
    for operation in ended:
        operations.tell_end(control.counts, operation)
    return batch
