"""The calls about the disks of a node. Only a plain virtual disk has been recorded; the rest goes by the schema."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Route, Row
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.hardware import Disk, ZfsPool


def listing(api: Api, call: Call) -> Any:
    """Answer with the disks of a node."""
    return api.shuffled([_disk(disk) for disk in api.cluster.nodes[call.node].disks])


def _disk(disk: Disk) -> Row:
    return {
        "devpath": disk.devpath,
        "type": disk.kind,
        "size": disk.size,
        "model": disk.model,
        "serial": disk.serial,
        "vendor": disk.vendor,
        "wwn": "unknown",
        "gpt": 0,
        "health": disk.health,
        "wearout": "N/A" if disk.wearout < 0 else disk.wearout,
        "rpm": disk.rpm,
        "used": disk.used,
        "osdid": -1,
        "osdid-list": None,
    } | ({"mounted": 1} if disk.used == "mounted" else {})


def smart(api: Api, call: Call) -> Any:
    """Answer with what a disk tells of its health. Raises Refusal."""
    name = call.text("disk")
    disk = next((disk for disk in api.cluster.nodes[call.node].disks if disk.devpath == name), None)
    if disk is None:
        raise Refusal(500, f"device '{name}' is not a disk")
    found: Row = {"health": disk.health}
    if call.flag("healthonly"):
        return found
    found |= {"type": "text" if disk.kind == "nvme" else "ata"}
    found |= {"wearout": disk.wearout} if disk.wearout >= 0 else {}
    if disk.kind == "nvme":
        return found | {"text": "".join(f"{key}: {value}\n" for key, value in disk.attributes)}
    return found | {"attributes": [_attribute(n, key, raw) for n, (key, raw) in enumerate(disk.attributes, 1)]}


def _attribute(number: int, name: str, raw: int) -> Row:
    figures = {"value": "100", "worst": "100", "threshold": "0", "normalized": 100.0}
    return {"id": f"{number:3}", "name": name, "raw": str(raw), "flags": "PO--CK", "fail": "-", **figures}


def zfs(api: Api, call: Call) -> Any:
    """Answer with the ZFS pools of a node."""
    return [_pool(pool) for pool in api.cluster.nodes[call.node].zfs]


def _pool(pool: ZfsPool) -> Row:
    return {
        "name": pool.name,
        "size": pool.size,
        "alloc": pool.used,
        "free": pool.size - pool.used,
        "frag": pool.fragmentation,
        "dedup": 1.0,
        "health": pool.health,
    }


def zfs_pool(api: Api, call: Call) -> Any:
    """Answer with one ZFS pool and the disks in it. Raises Refusal."""
    name = call.text("name")
    pool = next((pool for pool in api.cluster.nodes[call.node].zfs if pool.name == name), None)
    if pool is None:
        raise Refusal(500, f"cannot open '{name}': no such pool")
    counts = {"read": 0, "write": 0, "cksum": 0, "msg": ""}
    leaves = [{"name": disk, "state": "ONLINE", "leaf": 1, **counts} for disk in pool.disks]
    top = {"name": pool.name, "state": pool.health, "leaf": 0, "children": leaves, **counts}
    return {
        "name": pool.name,
        "state": pool.health,
        "scan": pool.scan,
        "errors": pool.errors,
        "leaf": 0,
        "children": [top],
    }


def nothing(_api: Api, _call: Call) -> Any:
    """Answer that there is nothing of that kind."""
    return []


def volume_groups(_api: Api, _call: Call) -> Any:
    """Answer that there are no volume groups."""
    return {"leaf": 0, "children": []}


_DISKS = "/nodes/{node}/disks"
ROUTES = (
    Route("GET", f"{_DISKS}/list", listing),
    Route("GET", f"{_DISKS}/smart", smart),
    Route("GET", f"{_DISKS}/zfs", zfs),
    Route("GET", f"{_DISKS}/zfs/{{name}}", zfs_pool),
    Route("GET", f"{_DISKS}/directory", nothing),
    Route("GET", f"{_DISKS}/lvmthin", nothing),
    Route("GET", f"{_DISKS}/lvm", volume_groups),
)
