"""Hosts and guests for inventories: many in one answer."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic_core import to_json

from nanny_ops.control.api.page import Listed
from nanny_ops.control.api.state import AsPerson, Control
from nanny_ops.control.services import host as service
from nanny_ops.protocol.host import MOST, USUAL, HostRow

router = APIRouter(prefix="/api/hosts", tags=["hosts"])
LISTED: dict[int | str, dict[str, Any]] = {200: {"model": Listed[HostRow]}}


@router.get("", responses=LISTED, response_class=Response)
async def show(
    who: AsPerson,
    control: Control,
    limit: Annotated[int, Query(ge=1, le=MOST, description="Rows of this page.")] = USUAL,
    offset: Annotated[int, Query(ge=0, le=2**31, description="Rows left out before it.")] = 0,
) -> Response:
    """List hosts with an agent and their guests, with all that is known of them and who carries out orders for them.

    Those that were revoked or are gone are left out.
    """
    now = control.clock()
    found, total = await control.database.read(lambda tx: service.page(tx, who, limit, offset, now))
    # Written at once: to check a thousand rows of our own once more would take longer than all the rest.
    body = {"items": [vars(row) for row in found], "total": total, "limit": limit, "offset": offset}
    return Response(to_json(body), media_type="application/json", headers={"X-Total-Count": str(total)})
