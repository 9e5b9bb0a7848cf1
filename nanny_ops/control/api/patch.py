"""Patch orders for people: place, list, look at, cancel, release."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Body, Header, Query, Request, Response
from pydantic import TypeAdapter, ValidationError
from starlette.types import Receive, Scope, Send

from nanny_ops.control.api.body import read_of
from nanny_ops.control.api.order import KEY_LENGTH, Chosen
from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.problem import from_validation
from nanny_ops.control.api.state import AsPerson, Control, State
from nanny_ops.control.api.state import person as asking
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import patch as service
from nanny_ops.control.services import patch_option as options
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import operation as store
from nanny_ops.control.store.database import Tx
from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol.operation import parse_vmid
from nanny_ops.protocol.patch import Mode, PatchOperation, PatchRequest

router = APIRouter(prefix="/api/patches", tags=["patches"])
EXAMPLES: dict[str, Any] = {
    "dry run in a container": {"value": {"agent_id": "agent-123", "mode": "dry-run", "lxc_id": "lxc-100"}},
    "apply on the host": {"value": {"agent_id": "agent-123", "mode": "apply", "exclude": ["postgresql-16"]}},
}
PLACED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The operation that the same Idempotency-Key made before", "model": PatchOperation},
    400: {"description": "No shipped script fits the target"},
    403: {"description": "The role does not allow it"},
    404: {"description": "No such agent or script"},
    409: {
        "description": "The agent is revoked or cannot do what is asked (details.features), the guest is gone or a "
        "template, or the key was used for another request"
    },
}
MISSING: dict[int | str, dict[str, Any]] = {
    403: {"description": "The role does not allow it"},
    404: {"description": "No such operation"},
}


@dataclass(frozen=True, kw_only=True)
class Order(PatchRequest):
    """What an operator orders; a misspelt field is refused, since leaving out an exclusion would upgrade too much."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


ORDER, PATCH_OPERATION = TypeAdapter(Order), TypeAdapter(PatchOperation)


@router.post("", status_code=201, responses=PLACED)
async def place(
    body: Annotated[Order, Body(openapi_examples=EXAMPLES)],
    person: AsPerson,
    control: Control,
    response: Response,
    idempotency_key: Annotated[str, Header(max_length=KEY_LENGTH)] = "",
) -> PatchOperation:
    """Order a dry run or an apply on a host or in a container; needs the role operator."""
    placed, response.status_code = await _place(control, person, body, idempotency_key)
    response.headers["Location"] = f"/api/patches/{placed.id}"
    return placed


async def place_directly(control: State, scope: Scope, receive: Receive, send: Send) -> None:
    """Do what :func:`place` does without the frame's machinery, a third of the price of an order in a burst."""
    request = Request(scope, receive)
    person = await asking(request)
    key = request.headers.get("idempotency-key", "")
    if len(key) > KEY_LENGTH:
        raise ValidationFailed(f"Idempotency-Key: It may have {KEY_LENGTH} characters.", field="Idempotency-Key")
    try:
        body = ORDER.validate_json(await read_of(request))
    except ValidationError as wrong:
        raise from_validation(list(wrong.errors(include_url=False, include_context=False))) from None
    placed, status = await _place(control, person, body, key)
    answer = PATCH_OPERATION.dump_json(placed)
    headers = (
        (b"content-type", b"application/json"),
        (b"content-length", str(len(answer)).encode()),
        (b"location", f"/api/patches/{placed.id}".encode()),
    )
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": answer})


async def _place(control: State, person: Person, body: Order, key: str) -> tuple[PatchOperation, int]:
    usual = control.settings
    asked = options.settled(body, usual.snapshot_keep, usual.snapshot_max_age_hours)
    operation, new = await control.database.write(lambda tx: service.place(tx, person, asked, key, control.clock()))
    return service.rendered(operation), 201 if new else 200


@router.get("")
async def show(
    person: AsPerson,
    control: Control,
    paging: Paging,
    filters: Chosen,
    vmid: Annotated[str | None, Query(max_length=64)] = None,
    mode: Mode | None = None,
) -> Listed[PatchOperation]:
    """List orders, newest first; filters must all hold."""
    more = {"vmid": parse_vmid(vmid), "mode": mode}
    given = {**filters, **{name: value for name, value in more.items() if value is not None}}

    def look(tx: Tx) -> tuple[list[PatchOperation], int]:
        found, total = store.page(tx, "patch", person.teams, paging.limit, paging.offset, **given)
        return service.shown(tx, found, control.clock()), total

    return paging.of(*await control.database.read(look))


@router.get("/{operation_id}", responses=MISSING)
async def get(operation_id: str, person: AsPerson, control: Control) -> PatchOperation:
    """Show an order with its package list."""
    now = control.clock()
    return await control.database.read(lambda tx: service.detail(tx, service.visible(tx, person, operation_id), now))


@router.post("/{operation_id}/cancel", responses={**MISSING, 409: {"description": "It has ended otherwise"}})
async def cancel(operation_id: str, person: AsPerson, control: Control) -> PatchOperation:
    """Take an order back; a script that runs is ended by the agent. Needs the role operator."""
    operation, new = await control.database.write(
        lambda tx: service.withdraw(tx, person, operation_id, control.clock())
    )
    if new:
        operations.tell_end(control.counts, operation)
    return service.rendered(operation)


@router.post("/{operation_id}/release", responses={**MISSING, 409: {"description": "It has not ended"}})
async def release(operation_id: str, person: AsPerson, control: Control) -> PatchOperation:
    """Give the target of an ended order to others, where its agent cannot tell any more that its script is over.

    Nothing is ended on the target: look there first. Needs the role operator.
    """
    operation = await control.database.write(lambda tx: service.release(tx, person, operation_id, control.clock()))
    return service.rendered(operation)
