"""One report that holds a whole reading of Proxmox VE."""

from typing import Any

from fastapi import APIRouter, Request

from nanny_ops.control.api.body import Record, read
from nanny_ops.control.api.gate import BODY_CAP
from nanny_ops.control.api.limit import admit
from nanny_ops.control.api.state import AsAgent, Control
from nanny_ops.control.services import inventory as service
from nanny_ops.protocol.inventory import InventoryAnswer, InventoryReport

router = APIRouter(prefix="/api/proxmox", tags=["proxmox"])
REPORT = Record(
    InventoryReport,
    {
        "at": "2026-01-31T02:00:00Z",
        "node": "pve1",
        "cluster": {
            "cluster_name": "lab",
            "cluster_id": "lab-1",
            "nodes": 1,
            "quorate": 1,
            "version": 7,
            "guests": [101],
        },
        "nodes": [
            {
                "name": "pve1",
                "node_id": 1,
                "ip": "192.0.2.11",
                "online": 1,
                "local": 1,
                "pve_version": "pve-manager/8.4.21/1234",
            }
        ],
        "lxc": [{"name": "web1", "lxc_id": "lxc/101", "status": "running", "vmid": 101, "node": "pve1"}],
        "guests": [101],
        "usage": [{"vmid": 101, "kind": "lxc", "node": "pve1", "status": "running", "cpu": 0.02, "mem": 12648448}],
        "facts": [{"section": "guests", "state": "ok", "at": "2026-01-31T02:00:00Z"}],
    },
)
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body is not JSON, or a field has a wrong value; details name it"},
    403: {"description": "A person's token, or a revoked agent"},
    413: {"description": f"More than {BODY_CAP} bytes; send it in parts"},
    429: {"description": "More than sixty reports of this agent in a minute; keep them and send them later"},
}


@router.post("/inventory", responses=REFUSALS, openapi_extra=REPORT.documented())
async def take_inventory(request: Request, agent: AsAgent, control: Control) -> InventoryAnswer:
    """Take in a whole reading of Proxmox VE, or a part of one; the answer says what to report next time.

    Repeated, it changes nothing; older than the newest of its agent, it adds its usage to the history and nothing else.
    """
    raw = await read(request.receive, request.headers.get("content-length"), BODY_CAP)
    report, whole = REPORT.parse_open(raw)
    now = control.clock()
    service.instant(report.at, now)
    admit(request.scope, control.limits.inventory(agent.id, now.timestamp()))
    return await control.database.write(lambda tx: service.take(tx, agent, report, whole, now))
