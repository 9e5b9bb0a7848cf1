"""Clusters, nodes, guests, storages and failed tasks: what people may look up."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from nanny_ops.control.api.page import Listed, Page, Paging
from nanny_ops.control.api.state import AsPerson, Control, State
from nanny_ops.control.services import fleet
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.proxmox import GuestFilter
from nanny_ops.control.store.storage import StorageFilter
from nanny_ops.control.store.task import TaskFilter

router = APIRouter(prefix="/api/proxmox", tags=["proxmox"])
UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "No such thing in your teams"}}
ELSEWHERE: dict[int | str, dict[str, Any]] = {404: {"description": "No cluster or node of that name in your teams"}}
Word = Annotated[str, Query(max_length=255)]
Gone = Annotated[bool, Query(description="Those that are gone, instead of those that are there")]
FactState = Annotated[
    Literal["", "ok", "absent", "forbidden", "failed", "stale"],
    Query(description="Those of which a part of what is told has this state"),
]
Rows = Listed[dict[str, Any]]


@router.get("/clusters")
async def clusters(who: AsPerson, control: Control, page: Paging, name: Word = "") -> Rows:
    """List clusters; ``name`` is a part of the name."""
    now = control.clock()
    return await _list(control, page, lambda tx: fleet.clusters(tx, who, page.limit, page.offset, name, now))


@router.get("/nodes", responses=ELSEWHERE)
async def nodes(
    who: AsPerson,
    control: Control,
    page: Paging,
    cluster: Word = "",
    name: Word = "",
    status: Literal["", "online", "offline", "unknown"] = "",
    fact: FactState = "",
    gone: Gone = False,
) -> Rows:
    """List nodes; ``cluster`` is a cluster's id or name, ``name`` a part of the node's name."""
    now = control.clock()
    more = {"status": status, "fact": fact, "gone": gone}
    return await _list(
        control, page, lambda tx: fleet.nodes(tx, who, page.limit, page.offset, cluster, name, now, **more)
    )


@router.get("/guests", responses=ELSEWHERE)
async def guests(
    who: AsPerson,
    control: Control,
    page: Paging,
    cluster: Word = "",
    node: Word = "",
    kind: Literal["", "lxc", "qemu"] = "",
    status: Word = "",
    tag: Word = "",
    name: Word = "",
    pool: Word = "",
    lock: Word = "",
    template: bool | None = None,
    vmid: Annotated[int | None, Query(ge=1, le=999_999_999)] = None,
    fact: FactState = "",
    gone: Gone = False,
) -> Rows:
    """List guests; ``cluster`` is a cluster's id or name, ``name`` a part of the guest's name.

    ``status`` unknown finds those of which nobody can say; they are not among those that run or are stopped.
    """
    now = control.clock()
    wanted = GuestFilter(
        cluster=cluster,
        node=node,
        kind=kind,
        status=status,
        tag=tag,
        name=name,
        pool=pool,
        lock=lock,
        template=template,
        vmid=vmid,
        fact=fact,
        gone=gone,
    )
    return await _list(control, page, lambda tx: fleet.guests(tx, who, page.limit, page.offset, wanted, now))


@router.get("/storages", responses=ELSEWHERE)
async def storages(
    who: AsPerson,
    control: Control,
    page: Paging,
    cluster: Word = "",
    node: Word = "",
    kind: Word = "",
    status: Word = "",
    name: Word = "",
    full: bool | None = None,
) -> Rows:
    """List storages, a row for each node that has one; ``kind`` is zfspool, dir and so on."""
    now = control.clock()
    wanted = StorageFilter(cluster=cluster, node=node, kind=kind, status=status, name=name, full=full)
    return await _list(control, page, lambda tx: fleet.storages(tx, who, page.limit, page.offset, wanted, now))


@router.get("/tasks", responses=ELSEWHERE)
async def tasks(
    who: AsPerson,
    control: Control,
    page: Paging,
    cluster: Word = "",
    node: Word = "",
    kind: Word = "",
    about: Word = "",
) -> Rows:
    """List tasks that failed, newest first; ``kind`` is vzdump, qmigrate and so on, ``about`` a guest's number."""
    now = control.clock()
    wanted = TaskFilter(cluster=cluster, node=node, kind=kind, about=about)
    return await _list(control, page, lambda tx: fleet.tasks(tx, who, page.limit, page.offset, wanted, now))


@router.get("/clusters/{key}", responses=UNKNOWN)
async def cluster(key: str, who: AsPerson, control: Control) -> dict[str, Any]:
    """Show one cluster, with everything that was reported of it and how well each part is known."""
    return await control.database.read(lambda tx: fleet.cluster(tx, who, key, control.clock()))


@router.get("/nodes/{key}", responses=UNKNOWN)
async def node(key: str, who: AsPerson, control: Control) -> dict[str, Any]:
    """Show one node, with everything that was reported of it and how well each part is known."""
    return await control.database.read(lambda tx: fleet.node(tx, who, key, control.clock()))


@router.get("/guests/{key}", responses=UNKNOWN)
async def guest(key: str, who: AsPerson, control: Control) -> dict[str, Any]:
    """Show one guest, with everything that was reported of it and how well each part is known."""
    return await control.database.read(lambda tx: fleet.guest(tx, who, key, control.clock()))


@router.get("/storages/{key}", responses=UNKNOWN)
async def storage(key: str, who: AsPerson, control: Control) -> dict[str, Any]:
    """Show one storage and how well it is known."""
    return await control.database.read(lambda tx: fleet.storage(tx, who, key, control.clock()))


@router.get("/tasks/{key}", responses=UNKNOWN)
async def task(key: str, who: AsPerson, control: Control) -> dict[str, Any]:
    """Show one task that failed, by id or UPID."""
    return await control.database.read(lambda tx: fleet.task(tx, who, key, control.clock()))


async def _list(control: State, page: Page, look: Callable[[Tx], fleet.Page]) -> Rows:
    found = await control.database.read(look)
    return page.of(found.items, found.total)
