"""Snapshots and backups that orders made, for people: list and look at; :mod:`.prune` removes them."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query

from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.state import AsPerson, Control
from nanny_ops.control.services import snapshot as service
from nanny_ops.control.store.snapshot import LIVING, Filter
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.operation import parse_vmid
from nanny_ops.protocol.snapshot import SnapshotKind, SnapshotRow, SnapshotState

router = APIRouter(prefix="/api/snapshots", tags=["snapshots"])
MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "No such snapshot"}}


@router.get("")
async def show(
    who: AsPerson,
    control: Control,
    paging: Paging,
    guest_id: Annotated[str, Query(max_length=64, description="Only those of this guest, by our id.")] = "",
    vmid: Annotated[str | None, Query(max_length=64, description="Only those of guests with this number.")] = None,
    agent_id: Annotated[
        str, Query(max_length=64, description="Only those that this agent made, or whose guests it tells of.")
    ] = "",
    cluster: Annotated[str, Query(max_length=255, description="Only those of this cluster: id or name.")] = "",
    operation_id: Annotated[str, Query(max_length=64, description="Only those that this order made.")] = "",
    kind: Annotated[SnapshotKind | None, Query(description="Only snapshots or only backups.")] = None,
    state: Annotated[SnapshotState | None, Query(description="Only those of this state.")] = None,
    older_than_hours: Annotated[int | None, Query(ge=0, le=87_600, description="Only those made longer ago.")] = None,
    past: Annotated[bool, Query(description="Those too that are removed or gone.")] = False,
) -> Listed[SnapshotRow]:
    """List what our orders made and what is named as ours, the newest first; what is not there any more is left out."""
    now = control.clock()
    before = None if older_than_hours is None else micros(now - timedelta(hours=older_than_hours))
    wanted = Filter(
        guest_id=guest_id,
        vmid=parse_vmid(vmid),
        agent_id=agent_id,
        cluster=cluster,
        operation_id=operation_id,
        kind=kind or "",
        states=(state,) if state else () if past else LIVING,
        before=before,
    )
    found, total = await control.database.read(
        lambda tx: service.page(tx, who, wanted, paging.limit, paging.offset, now)
    )
    return paging.of(found, total)


@router.get("/{snapshot_id}", responses=MISSING)
async def get(snapshot_id: str, who: AsPerson, control: Control) -> SnapshotRow:
    """Show one: what made it, whether it is there, and how old that knowledge is."""
    return await control.database.read(lambda tx: service.show(tx, who, snapshot_id, control.clock()))
