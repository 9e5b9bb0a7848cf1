"""The guest that a job is about, through the API: looked up anew before each step, since guests migrate."""

from dataclasses import dataclass
from typing import Any

from nanny_ops.errors import ProxmoxError
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.machine.proxmox import power
from nanny_ops.machine.proxmox.power import Guest
from nanny_ops.machine.proxmox.task import PACE, Api, Pace
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.patch_report import LeftIn


def local_node(api: Api, otherwise: str) -> str:
    """Return the name of the node that answers; where the token may not ask, what this host calls itself."""
    try:
        rows: list[dict[str, Any]] = api.get("cluster/status")
    except ProxmoxError:
        return otherwise
    return next((str(row["name"]) for row in rows if row.get("type") == "node" and row.get("local")), otherwise)


@dataclass(frozen=True)
class Ward:
    """One guest by its number, as the API of this node tells of it."""

    api: Api
    node: str
    vmid: int
    pace: Pace = PACE

    def row(self) -> dict[str, Any]:
        """Return what the cluster says of the guest. Raises Halt where it is gone or elsewhere, and ProxmoxError."""
        rows: list[dict[str, Any]] = self.api.get("cluster/resources", type="vm")
        found = next((row for row in rows if int(row.get("vmid", 0)) == self.vmid), None)
        if found is None:
            raise Halt(
                Outcome.TARGET_UNKNOWN,
                f"Proxmox VE knows no guest {self.vmid}, or its token may not see it (VM.Audit on /vms/{self.vmid}).",
            )
        if str(found["node"]) != self.node:
            raise Halt(
                Outcome.TARGET_LOST,
                f"Guest {self.vmid} is on node {found['node']} now, no longer on {self.node}; order it there.",
            )
        return found

    def find(self) -> Guest:
        """Return the guest, which is on this node. Raises as :meth:`row`."""
        row = self.row()
        return Guest(self.node, "qemu" if row.get("type") == "qemu" else "lxc", self.vmid)

    def status(self) -> dict[str, Any]:
        """Return what the guest does now. Raises as :meth:`row`."""
        return power.current(self.api, self.find())

    def left_in(self) -> LeftIn:
        """Say how the guest is now, as far as it can be told."""
        try:
            status = self.status().get("status")
        except Halt:
            return "gone"
        except ProxmoxError:
            return "unknown"
        return "running" if status == "running" else "stopped" if status == "stopped" else "unknown"
