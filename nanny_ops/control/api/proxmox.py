"""Proxmox VE: reports from agents, and what people may look up in them."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from nanny_ops.control.api.body import Record, read_of
from nanny_ops.control.api.legacy import guided
from nanny_ops.control.api.limit import refusal, tell
from nanny_ops.control.api.state import AsAgent, AsPerson, Control, State
from nanny_ops.control.services import fleet
from nanny_ops.control.services import proxmox as service
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store.proxmox import GuestFilter
from nanny_ops.protocol.metrics import Accepted
from nanny_ops.protocol.proxmox import ClusterReport, LxcReport, NodeReport, QemuReport

router = APIRouter(prefix="/api/proxmox", tags=["proxmox"])
CLUSTER = Record(ClusterReport, {"cluster_name": "lab", "cluster_id": "lab-1", "nodes": 3, "quorate": 1, "version": 7})
NODE = Record(
    NodeReport,
    {
        "name": "pve1",
        "node_id": 1,
        "ip": "192.0.2.11",
        "online": 1,
        "local": 1,
        "level": "",
        "pve_version": "pve-manager/8.4.21/1234",
    },
)
LXC = Record(
    LxcReport, {"name": "web1", "lxc_id": "lxc/101", "status": "running", "uptime": 60, "vmid": 101, "node": "pve1"}
)
QEMU = Record(
    QemuReport, {"name": "db1", "qemu_id": "qemu/201", "status": "running", "uptime": 60, "vmid": 201, "node": "pve1"}
)
#: Names of fields as agents before the guide have them.
CLUSTER_NAMES = {"px_cluster_id": "cluster_id", "name": "cluster_name"}
NODE_NAMES = {"nodeid": "node_id", "pveversion": "pve_version"}
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body is not JSON, or a field has a wrong value; details name it"},
    403: {"description": "A person's token, or a revoked agent"},
    413: {"description": "More than 1 MiB"},
    429: {"description": "Told within the last five minutes, and nothing has changed"},
}
UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "No such thing in your teams"}}
Limit = Annotated[int, Query(ge=1, le=500)]
Offset = Annotated[int, Query(ge=0, le=2**31)]
Word = Annotated[str, Query(max_length=255)]
Gone = Annotated[bool, Query(description="Guests that were destroyed, instead of those that are there")]


@router.post("/cluster", responses=REFUSALS, openapi_extra=CLUSTER.documented())
async def take_cluster(request: Request, agent: AsAgent, control: Control) -> Accepted:
    """Take in what an agent says of its cluster; with ``guests``, what is missing there is gone."""
    report, body = CLUSTER.parse_open(guided(await read_of(request), CLUSTER_NAMES))
    name = f"{report.cluster_id}/{report.cluster_name}"
    await _take(request, control, agent, name, partial(service.take_cluster, report=report, body=body))
    return Accepted(message=f"Cluster {report.cluster_name} noted")


@router.post("/node", responses=REFUSALS, openapi_extra=NODE.documented())
async def take_node(request: Request, agent: AsAgent, control: Control) -> Accepted:
    """Take in what an agent says of a node."""
    report, body = NODE.parse_open(guided(await read_of(request), NODE_NAMES))
    await _take(request, control, agent, report.name, partial(service.take_node, report=report, body=body))
    return Accepted(message=f"Node {report.name} noted")


@router.post("/lxc", responses=REFUSALS, openapi_extra=LXC.documented())
async def take_lxc(request: Request, agent: AsAgent, control: Control) -> Accepted:
    """Take in what an agent says of a container."""
    report, body = LXC.parse_open(await read_of(request))
    await _take(request, control, agent, str(report.vmid), partial(service.take_guest, report=report, body=body))
    return Accepted(message=f"Container {report.vmid} noted")


@router.post("/qemu", responses=REFUSALS, openapi_extra=QEMU.documented())
async def take_qemu(request: Request, agent: AsAgent, control: Control) -> Accepted:
    """Take in what an agent says of a virtual machine; disks and nets are further keys of any number."""
    report, body = QEMU.parse_open(await read_of(request))
    await _take(request, control, agent, str(report.vmid), partial(service.take_guest, report=report, body=body))
    return Accepted(message=f"Virtual machine {report.vmid} noted")


@router.get("/clusters")
async def clusters(
    who: AsPerson, control: Control, response: Response, limit: Limit = 50, offset: Offset = 0, name: Word = ""
) -> dict[str, Any]:
    """List clusters; ``name`` is a part of the name."""
    found = await control.database.read(lambda tx: fleet.clusters(tx, who, limit, offset, name, control.clock()))
    return _page(response, found, limit, offset)


@router.get("/nodes")
async def nodes(
    who: AsPerson,
    control: Control,
    response: Response,
    limit: Limit = 50,
    offset: Offset = 0,
    cluster: Word = "",
    name: Word = "",
) -> dict[str, Any]:
    """List nodes; ``cluster`` is a cluster's id or name, ``name`` a part of the node's name."""
    found = await control.database.read(lambda tx: fleet.nodes(tx, who, limit, offset, cluster, name, control.clock()))
    return _page(response, found, limit, offset)


@router.get("/guests")
async def guests(
    who: AsPerson,
    control: Control,
    response: Response,
    limit: Limit = 50,
    offset: Offset = 0,
    cluster: Word = "",
    node: Word = "",
    kind: Literal["", "lxc", "qemu"] = "",
    status: Word = "",
    tag: Word = "",
    name: Word = "",
    vmid: Annotated[int | None, Query(ge=1, le=999_999_999)] = None,
    gone: Gone = False,
) -> dict[str, Any]:
    """List guests; ``cluster`` is a cluster's id or name, ``name`` a part of the guest's name."""
    wanted = GuestFilter(cluster=cluster, node=node, kind=kind, status=status, tag=tag, name=name, vmid=vmid, gone=gone)
    found = await control.database.read(lambda tx: fleet.guests(tx, who, limit, offset, wanted, control.clock()))
    return _page(response, found, limit, offset)


@router.get("/clusters/{key}", responses=UNKNOWN)
async def cluster(key: str, who: AsPerson, control: Control) -> dict[str, Any]:
    """Show one cluster, with everything that was reported of it."""
    return await control.database.read(lambda tx: fleet.cluster(tx, who, key, control.clock()))


@router.get("/nodes/{key}", responses=UNKNOWN)
async def node(key: str, who: AsPerson, control: Control) -> dict[str, Any]:
    """Show one node, with everything that was reported of it."""
    return await control.database.read(lambda tx: fleet.node(tx, who, key, control.clock()))


@router.get("/guests/{key}", responses=UNKNOWN)
async def guest(key: str, who: AsPerson, control: Control) -> dict[str, Any]:
    """Show one guest, with everything that was reported of it."""
    return await control.database.read(lambda tx: fleet.guest(tx, who, key, control.clock()))


async def _take(request: Request, control: State, agent: HostAgent, name: str, take: Callable[..., None]) -> None:
    """Write a report of the object ``name``; one that comes too soon is refused, unless it tells something new."""
    now = control.clock()
    of = (agent.id, request.url.path, name, now.timestamp())
    quota = control.limits.report(*of)
    tell(request.scope, quota)
    too_soon = refusal(quota)
    await control.database.write(lambda tx: take(tx, agent, now=now, too_soon=too_soon))
    tell(request.scope, control.limits.reported(*of))


def _page(response: Response, found: fleet.Page, limit: int, offset: int) -> dict[str, Any]:
    response.headers["X-Total-Count"] = str(found.total)
    return {"items": found.items, "total": found.total, "limit": limit, "offset": offset}
