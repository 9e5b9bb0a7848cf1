"""Where a package is, in which version, and where a newer one waits."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from nanny_ops.control.api.state import AsPerson, Control
from nanny_ops.control.services import package as service
from nanny_ops.control.store.package import Wanted

router = APIRouter(prefix="/api/packages", tags=["packages"])
Word = Annotated[str | None, Query(min_length=1, max_length=255)]


@router.get("", responses={422: {"description": "A parameter has a wrong value; details name it"}})
async def find(
    who: AsPerson,
    control: Control,
    response: Response,
    name: Annotated[str, Query(min_length=1, max_length=255, examples=["openssl"])],
    below: Annotated[str | None, Query(max_length=255, examples=["3.0.15-1"])] = None,
    target: Word = None,
    agent_id: Word = None,
    security: bool | None = None,
    pending: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> dict[str, Any]:
    """Tell where a package is known to be, as results of patch operations told it last.

    ``below`` leaves the places whose installed version is older; ``target`` is ``host`` or ``lxc:<vmid>``.
    """
    wanted = Wanted(name=name, target=target, agent_id=agent_id, security=security, pending=pending)
    found = await control.database.read(lambda tx: service.find(tx, who, wanted, below, limit, offset, control.clock()))
    response.headers["X-Total-Count"] = str(found.total)
    return {"items": found.items, "total": found.total, "limit": limit, "offset": offset}
