"""Usage of guests, nodes and storages: taken in with each report, kept raw for two days."""

import functools
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from nanny_ops.control.services import series
from nanny_ops.control.store import usage as store
from nanny_ops.control.store.database import Tx
from nanny_ops.protocol.inventory import GuestUsage, InventoryReport, NodeUsage

#: What is told of guests and nodes, and of storages under the same names.
SHARED = ("uptime", "cpu", "cpus", "mem", "maxmem", "disk", "maxdisk")
COUNTERS = ("netin", "netout", "diskread", "diskwrite")
OF_NODES = ("swap", "maxswap", "iowait", "load")
#: What Proxmox VE has kept of a guest's last hour: told with its newest reading only.
OF_HOURS = ("points", "cpu_mean", "cpu_max", "mem_mean", "mem_max", "netin", "netout", "diskread", "diskwrite")
COLUMNS = (*SHARED, *COUNTERS, *OF_NODES)

Rows = Iterator[tuple[str, dict[str, float | None]]]


def packed(report: InventoryReport, speaks_for: Callable[[str], bool]) -> bytes | None:
    """Return what a report says of usage, packed, of nodes for which its agent may speak; None if it says nothing."""
    rows = [*_guests(report, speaks_for), *_nodes(report, speaks_for), *_storages(report, speaks_for)]
    return series.pack(series.of_rows(rows, COLUMNS)) if rows else None


def hours(report: InventoryReport, speaks_for: Callable[[str], bool]) -> bytes | None:
    """Return what a report says of guests' last hours, packed under names that begin with ``hour_``."""
    rows = {
        guest_key(told.kind, told.vmid): {f"hour_{name}": getattr(told.hour, name) for name in OF_HOURS}
        for told in report.usage
        if told.hour is not None and speaks_for(told.node)
    }
    names = tuple(f"hour_{name}" for name in OF_HOURS)
    return series.pack(series.of_rows(rows.items(), names)) if rows else None


def keep(tx: Tx, team_id: str, scope: str, agent_id: str, at: int, body: bytes) -> None:
    """Write one reading; the same one twice is written once. The hour that it belongs to is rolled up again."""
    part = zlib.crc32(body)
    store.add(tx, store.Raw(scope=scope, at=at, agent_id=agent_id, part=part, team_id=team_id, body=body))


def latest(*parts: bytes | None) -> bytes | None:
    """Return parts of one reading as one: what a later part says of a thing is added to what an earlier one said."""
    told = [series.unpack(part) for part in parts if part is not None]
    if len(told) < 2:
        return next((part for part in parts if part is not None), None)
    return series.pack(functools.reduce(series.merged, told))


def guest_key(kind: str, vmid: int) -> str:
    """Return what a guest is called in readings, as Proxmox VE calls it."""
    return f"{kind}/{vmid}"


def node_key(name: str) -> str:
    """Return what a node is called in readings."""
    return f"node/{name}"


def storage_key(node: str, name: str) -> str:
    """Return what a storage on a node is called in readings."""
    return f"storage/{node}/{name}"


def _guests(report: InventoryReport, speaks_for: Callable[[str], bool]) -> Rows:
    for told in report.usage:
        if told.status != "unknown" and speaks_for(told.node):
            yield guest_key(told.kind, told.vmid), _values(told, (*SHARED, *COUNTERS))


def _nodes(report: InventoryReport, speaks_for: Callable[[str], bool]) -> Rows:
    for told in report.node_usage:
        if told.status == "online" and speaks_for(told.node):
            load = told.load[0] if told.load else None
            yield node_key(told.node), {**_values(told, (*SHARED, "swap", "maxswap", "iowait")), "load": load}


def _storages(report: InventoryReport, speaks_for: Callable[[str], bool]) -> Rows:
    for told in report.storages:
        if told.total and speaks_for(told.node):
            yield storage_key(told.node, told.storage), {"disk": told.used, "maxdisk": told.total}


def _values(told: GuestUsage | NodeUsage, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(told, name) for name in names}
