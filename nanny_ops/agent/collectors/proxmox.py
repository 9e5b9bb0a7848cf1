"""What Proxmox VE says of its cluster, its node and its guests."""

import logging
from typing import Any, ClassVar

import msgspec

from nanny_ops.agent.equipment import Equipment
from nanny_ops.agent.spool import Reading
from nanny_ops.machine.verbs import ReadProxmox

log = logging.getLogger(__name__)
PATH = "/api/proxmox/"


class Proxmox:
    """Reads one Proxmox VE API; does nothing where there is none to read."""

    name: ClassVar[str] = "proxmox"
    interval: ClassVar[str] = "proxmox_interval"

    def __init__(self, equipment: Equipment) -> None:
        """Take what is needed to read."""
        self._hands, self._access = equipment.hands, equipment.proxmox

    async def collect(self) -> list[Reading]:
        """Return one report per object: the cluster, its nodes, then the guests. Raises ProxmoxError."""
        if self._access is None:
            return []
        found = await self._hands.do(ReadProxmox(access=self._access))
        for problem in found.problems:
            log.warning("event=proxmox_incomplete node=%s problem=%r", found.node_name, problem)
        clusters = [found.cluster] if found.cluster is not None else []
        return [
            *(_report("cluster", "cluster_name", one) for one in clusters),
            *(_report("node", "name", one) for one in found.nodes),
            *(_report("lxc", "vmid", one) for one in found.lxc),
            *(_report("qemu", "vmid", one) for one in found.qemu),
        ]


def _report(kind: str, key: str, body: dict[str, Any]) -> Reading:
    return Reading(path=PATH + kind, body=msgspec.json.encode(body), subject=f"{kind}/{body.get(key)}")
