"""What nodes, guests and storages used over time."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from nanny_ops.control.api.metrics import Instant
from nanny_ops.control.api.state import AsPerson, Control, State
from nanny_ops.control.services import fleet, history
from nanny_ops.control.services.principal import Person

router = APIRouter(prefix="/api/proxmox", tags=["proxmox"])
REFUSALS: dict[int | str, dict[str, Any]] = {
    404: {"description": "No such thing in your teams"},
    422: {"description": "A parameter has a wrong value; details name it"},
}
Steps = Annotated[history.Resolution, Query(description="raw for two days; 5min, 1h and 1d for ninety")]


@router.get("/guests/{key}/history", responses=REFUSALS)
async def guest_history(
    key: str, who: AsPerson, control: Control, resolution: Steps = "5min", since: Instant = None, until: Instant = None
) -> dict[str, Any]:
    """Tell what a guest used, oldest first: the newest 2,000 points of the stretch of time."""
    return await _read(control, who, "guest", key, resolution, since, until)


@router.get("/nodes/{key}/history", responses=REFUSALS)
async def node_history(
    key: str, who: AsPerson, control: Control, resolution: Steps = "5min", since: Instant = None, until: Instant = None
) -> dict[str, Any]:
    """Tell what a node used, oldest first: the newest 2,000 points of the stretch of time."""
    return await _read(control, who, "node", key, resolution, since, until)


@router.get("/storages/{key}/history", responses=REFUSALS)
async def storage_history(
    key: str, who: AsPerson, control: Control, resolution: Steps = "5min", since: Instant = None, until: Instant = None
) -> dict[str, Any]:
    """Tell how a storage filled, oldest first: the newest 2,000 points of the stretch of time."""
    return await _read(control, who, "storage", key, resolution, since, until)


async def _read(
    control: State,
    who: Person,
    noun: fleet.MeasuredNoun,
    key: str,
    resolution: history.Resolution,
    since: str | None,
    until: str | None,
) -> dict[str, Any]:
    now = control.clock()
    return await control.database.read(
        lambda tx: history.read(tx, history.asked(fleet.measured(tx, who, noun, key), resolution, since, until, now))
    )
