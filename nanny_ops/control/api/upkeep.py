"""How well hosts and guests are kept: what waits, what must be restarted, until when there are fixes."""

from typing import Annotated

from fastapi import APIRouter, Query

from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.state import AsPerson, Control
from nanny_ops.control.services import upkeep as service
from nanny_ops.protocol.upkeep import Support, UpkeepRow, UpkeepState

router = APIRouter(prefix="/api/upkeep", tags=["upkeep"])


@router.get("")
async def show(
    who: AsPerson,
    control: Control,
    paging: Paging,
    state: Annotated[UpkeepState | None, Query(description="Only those of this state.")] = None,
    support: Annotated[Support | None, Query(description="Only those whose distribution stands so.")] = None,
    security: Annotated[bool | None, Query(description="Only those with, or without, security fixes waiting.")] = None,
    restart: Annotated[bool | None, Query(description="Only those that must, or need not, be restarted.")] = None,
) -> Listed[UpkeepRow]:
    """List hosts and guests, those with most that waits first; what nobody has looked at is unknown."""
    wanted = service.Wanted(state=state or "", support=support or "", security=security, restart=restart)
    found, total = await control.database.read(
        lambda tx: service.page(tx, who, wanted, paging.limit, paging.offset, control.clock())
    )
    return paging.of(found, total)
