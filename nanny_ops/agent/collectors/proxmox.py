"""What Proxmox VE says of its cluster, its nodes and its guests: one report per cycle, of what has changed."""

import logging
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from nanny_ops.agent.equipment import Equipment
from nanny_ops.agent.spool import Reading
from nanny_ops.errors import NannyError, Rejected
from nanny_ops.machine.verbs import ProxmoxReading, ReadProxmox
from nanny_ops.protocol.clock import stamp
from nanny_ops.protocol.inventory import BODIES, InventoryAnswer

log = logging.getLogger(__name__)
PATH = "/api/proxmox/"
INVENTORY = PATH + "inventory"
#: Bytes of bodies and usage in one report; the control plane takes 1 MiB in all.
PART = 512 * 1024
#: How often one report is offered in its cycle; the next cycle tells again whatever did not arrive.
TRIES = 3
#: Usage of this many cycles is kept while the control plane is away: a day of them.
KEPT = 288
#: Cycles for which a control plane that does not know the one report is told in the guide's four.
GUIDE = 12
_NO_SUCH_ADDRESS = frozenset({404, 405, 501})
_SPLIT = ("lxc", "qemu", "usage")


class Proxmox:
    """Reads one Proxmox VE API; does nothing where there is none to read."""

    name: ClassVar[str] = "proxmox"
    interval: ClassVar[str] = "proxmox_interval"

    def __init__(self, equipment: Equipment) -> None:
        """Take what is needed to read, and to tell: what is told next depends on the answer."""
        self._hands, self._access = equipment.hands, equipment.proxmox
        self._client, self._now = equipment.client, equipment.now
        self._said = InventoryAnswer(reports_cluster=True)
        self._acknowledged, self._cycle, self._guide = 0, 0, 0
        self._problems: set[str] = set()
        self._found: ProxmoxReading | None = None
        self._at = ""
        self._spoke_for: list[str] = []

    async def collect(self) -> list[Reading]:
        """Return the reports of one reading, the guide's where that is what the control plane knows.

        Raises ProxmoxError.
        """
        if self._access is None:
            return []
        self._cycle += 1
        self._at = stamp(self._now())
        order = ReadProxmox(
            access=self._access,
            reports_cluster=self._said.reports_cluster,
            speaks_for=self._said.speaks_for,
            acknowledged=0 if self._guide else self._acknowledged,
        )
        self._found, self._spoke_for = await self._hands.do(order), order.speaks_for
        self._log(self._found)
        if self._guide > 1:
            self._guide -= 1
            return singles(self._found.values)
        self._guide = 0
        return [Reading(path=INVENTORY, body=msgspec.json.encode(part)) for part in parts(self._found.values, self._at)]

    async def deliver(self, readings: list[Reading]) -> list[Reading]:
        """Send the reports of the last reading, whose answers say what the next one is about.

        Nodes that an answer names for the first time are read and told at once, in one reading more. Returns what is
        left for the courier. Raises ProxmoxError where that reading fails.
        """
        left = await self._send(readings)
        if not set(self._said.speaks_for) - set(self._spoke_for):
            return left
        return left + await self._send(await self.collect())

    async def _send(self, readings: list[Reading]) -> list[Reading]:
        if self._found is None or not readings or readings[0].path != INVENTORY:
            return readings
        try:
            for one in readings:
                body = msgspec.Raw(one.body)
                answer = await self._client.request("POST", INVENTORY, body=body, tries=TRIES, waits=False)
                self._said = answer.read(InventoryAnswer)
        except Rejected as wrong:
            return self._refused(wrong, self._found)
        except NannyError as wrong:
            log.info("event=inventory_kept reason=%r", wrong.message)
            return [self._usage(self._found.values, self._at)]
        self._acknowledged = 0 if self._said.resend else self._found.serial
        return []

    def _refused(self, wrong: Rejected, found: ProxmoxReading) -> list[Reading]:
        if wrong.details.get("status") not in _NO_SUCH_ADDRESS:
            log.warning("event=inventory_refused reason=%r", wrong.message)
            return []
        log.info("event=inventory_unknown action='the reports of single objects are sent instead'")
        whole = self._acknowledged == 0
        self._guide, self._acknowledged = GUIDE, 0
        return singles(found.values) if whole else []

    def _usage(self, values: dict[str, Any], at: str) -> Reading:
        """Return what cannot be read again later; the rest is told anew by the next cycle."""
        kept = {name: values[name] for name in ("node", "usage", "node_usage") if name in values}
        body = msgspec.json.encode({"at": at, **kept})
        return Reading(path=INVENTORY, body=body, subject=f"inventory/{self._cycle % KEPT}")

    def _log(self, found: ProxmoxReading) -> None:
        """Log each problem once, until it has gone."""
        for problem in found.problems:
            if problem not in self._problems:
                log.warning("event=proxmox_incomplete node=%s problem=%r", found.node_name, problem)
        self._problems = set(found.problems)


def parts(values: dict[str, Any], at: str) -> Iterator[dict[str, Any]]:
    """Split one reading into reports that stand by themselves; all but bodies and usage is in the first."""
    part: dict[str, Any] = {"at": at, **{name: value for name, value in values.items() if name not in _SPLIT}}
    size = 0
    for name in _SPLIT:
        for one in values.get(name, []):
            raw = msgspec.json.encode(one)
            if size + len(raw) > PART or (name != "usage" and len(part.get(name, ())) >= BODIES):
                yield part
                part, size = {"at": at, "node": values["node"]}, 0
            part.setdefault(name, []).append(msgspec.Raw(raw))
            size += len(raw)
    yield part


def singles(values: dict[str, Any]) -> list[Reading]:
    """Return the guide's reports: the cluster, its nodes, then the guests."""
    clusters = [values["cluster"]] if values.get("cluster") is not None else []
    return [
        *(_single("cluster", "cluster_name", one) for one in clusters),
        *(_single("node", "name", one) for one in values.get("nodes", [])),
        *(_single("lxc", "vmid", one) for one in values.get("lxc", [])),
        *(_single("qemu", "vmid", one) for one in values.get("qemu", [])),
    ]


def _single(kind: str, key: str, body: dict[str, Any]) -> Reading:
    return Reading(path=PATH + kind, body=msgspec.json.encode(body), subject=f"{kind}/{body.get(key)}")
