"""Exceptions for people: hold a package back, list, look at, remove."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Body, Query, Response

from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.state import AsPerson, Control
from nanny_ops.control.services import package_exception as service
from nanny_ops.control.store import package_exception as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.package_exception import Held
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.package_exception import ExceptionRequest, PackageException

router = APIRouter(prefix="/api/package-exceptions", tags=["patches"])
EXAMPLES: dict[str, Any] = {
    "the whole team": {"value": {"package": "containerd", "reason": "1.7.29 breaks Docker in containers"}},
    "all that is tagged": {
        "value": {"package": "postgresql-16", "reason": "vendor", "scope": "group", "tag": "db"},
    },
}
MISSING: dict[int | str, dict[str, Any]] = {
    403: {"description": "The role does not allow it"},
    404: {"description": "No such exception, agent or guest"},
}


@dataclass(frozen=True, kw_only=True)
class Asked(ExceptionRequest):
    """What an operator holds back; a misspelt field is refused, since without its guest it would mean the fleet."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@router.post("", status_code=201, responses=MISSING)
async def add(
    body: Annotated[Asked, Body(openapi_examples=EXAMPLES)], person: AsPerson, control: Control, response: Response
) -> PackageException:
    """Hold a package back in every order that has not begun, and in those to come; needs the role operator."""
    now = control.clock()
    row, reached = await control.database.write(lambda tx: _with_reach(tx, service.add(tx, person, body, now), now))
    response.headers["Location"] = f"/api/package-exceptions/{row.id}"
    return service.rendered(row, now, reached)


@router.get("")
async def show(
    person: AsPerson,
    control: Control,
    paging: Paging,
    active: Annotated[bool | None, Query(description="true: only those that count now")] = None,
) -> Listed[PackageException]:
    """List exceptions, newest first, those that have ended too."""
    now = control.clock()
    found, total = await control.database.read(
        lambda tx: store.page(tx, person.teams, paging.limit, paging.offset, micros(now) if active else None)
    )
    return paging.of([service.rendered(row, now) for row in found], total)


@router.get("/{exception_id}", responses=MISSING)
async def get(exception_id: str, person: AsPerson, control: Control) -> PackageException:
    """Show one exception."""
    row = await control.database.read(lambda tx: service.visible(tx, person, exception_id))
    return service.rendered(row, control.clock())


@router.delete("/{exception_id}", responses=MISSING)
async def remove(exception_id: str, person: AsPerson, control: Control) -> PackageException:
    """End an exception, also for orders that wait; those that have begun keep it. Needs the role operator."""
    now = control.clock()
    row, reached = await control.database.write(
        lambda tx: _with_reach(tx, service.remove(tx, person, exception_id, now), now)
    )
    return service.rendered(row, now, reached)


def _with_reach(tx: Tx, row: Held, now: datetime) -> tuple[Held, service.Reach]:
    return row, service.reach(tx, row, now)
