"""Proxmox VE: reports of single objects from agents."""

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Request

from nanny_ops.control.api.body import Record, read_of
from nanny_ops.control.api.legacy import guided
from nanny_ops.control.api.limit import refusal, tell
from nanny_ops.control.api.state import AsAgent, Control, State
from nanny_ops.control.services import proxmox as service
from nanny_ops.control.services.principal import HostAgent
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


async def _take(request: Request, control: State, agent: HostAgent, name: str, take: Callable[..., None]) -> None:
    """Write a report of the object ``name``; one that comes too soon is refused, unless it tells something new."""
    now = control.clock()
    of = (agent.id, request.url.path, name, now.timestamp())
    quota = control.limits.report(*of)
    tell(request.scope, quota)
    too_soon = refusal(quota)
    await control.database.write(lambda tx: take(tx, agent, now=now, too_soon=too_soon))
    tell(request.scope, control.limits.reported(*of))
