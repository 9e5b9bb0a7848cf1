"""The calls about storages: how they are configured, how they stand on a node, and what lies on them."""

from collections.abc import Iterator
from typing import Any

from nanny_ops.lab.pve.api import Api, Route, Row
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.shape import storage as shape
from nanny_ops.lab.pve.state.storage import Storage

SEES = ("Datastore.Audit", "Datastore.AllocateSpace")
#: What a guest's configuration calls its disks, by kind of guest.
_CONTENT = {"lxc": "rootdir", "qemu": "images"}


def configurations(api: Api, call: Call) -> Any:
    """Answer with the storages that the caller may see."""
    storages = api.cluster.storages.values()
    digest = shape.digest(storages)
    seen = [storage for storage in storages if call.caller.may_any(f"/storage/{storage.name}", SEES)]
    wanted = call.text("type")
    return api.shuffled([shape.storage_conf(storage, digest) for storage in seen if wanted in {"", storage.kind}])


def configuration(api: Api, call: Call) -> Any:
    """Answer with one storage. Raises Refusal."""
    name = call.text("storage")
    if name not in api.cluster.storages:
        raise Refusal(500, f"storage '{name}' does not exist")
    return shape.storage_conf(api.cluster.storages[name], shape.digest(api.cluster.storages.values()))


def listing(api: Api, call: Call) -> Any:
    """Answer with a node's storages, by what they may hold and whether they are enabled there."""
    node = api.cluster.nodes[call.node]
    rows = []
    for storage in api.cluster.storages.values():
        row = shape.storage_row(storage, node)
        fits = not (wanted := call.text("content")) or set(wanted.split(",")) & set(storage.content)
        shown = call.text("storage") in {"", storage.name} and (row["enabled"] or not call.flag("enabled"))
        if fits and shown and call.caller.may_any(f"/storage/{storage.name}", SEES):
            rows.append(row)
    return api.shuffled(rows)


def _find(api: Api, call: Call) -> Storage:
    found = api.cluster.storages.get(call.text("storage"))
    if found is None:
        raise call.wrong(storage="No such storage.")
    return found


def status(api: Api, call: Call) -> Any:
    """Answer with how one storage stands on a node. Raises Refusal."""
    return shape.storage_status(_find(api, call), api.cluster.nodes[call.node])


def content(api: Api, call: Call) -> Any:
    """Answer with what lies on a storage, as far as the caller may use it. Raises Refusal."""
    storage = _find(api, call)
    kind, vmid = call.text("content"), call.number("vmid")
    rows = [*_disks(api, call, storage), *_others(api, call, storage)]
    return [row for row in rows if kind in {"", row["content"]} and vmid in {0, row.get("vmid")}]


def _disks(api: Api, call: Call, storage: Storage) -> Iterator[Row]:
    for guest in api.cluster.list_guests():
        if not (storage.shared or guest.node == call.node) or not _may_use(call, storage, guest.vmid, "VM.Config.Disk"):
            continue
        for volume in guest.volumes:
            if volume.storage == storage.name:
                yield {
                    "volid": volume.volid,
                    "content": _CONTENT[guest.kind],
                    "format": volume.form,
                    "size": volume.size,
                    "used": volume.size // 4,
                    "parent": None,
                    "vmid": guest.vmid,
                    "ctime": int(guest.born),
                }


def _others(_api: Api, call: Call, storage: Storage) -> Iterator[Row]:
    """Yield templates, images and backups; a backup is seen by who may back the guest up, not by every auditor."""
    for volume in storage.lying(call.node):
        backup = volume.content == "backup"
        if backup and not _may_use(call, storage, volume.vmid, "VM.Backup", "Datastore.AllocateSpace"):
            continue
        row: Row = {
            "volid": volume.volid,
            "content": volume.content,
            "format": volume.form,
            "size": volume.size,
            "ctime": volume.created,
        }
        row |= {"vmid": volume.vmid} if volume.vmid else {}
        row |= {"subtype": "lxc" if "-lxc-" in volume.volid else "qemu"} if backup else {}
        yield row | ({"notes": volume.notes} if volume.notes else {})


def _may_use(call: Call, storage: Storage, vmid: int, privilege: str, on_storage: str = "Datastore.Audit") -> bool:
    path = f"/storage/{storage.name}"
    if call.caller.may(path, "Datastore.Allocate"):
        return True
    return call.caller.may(path, on_storage) and call.caller.may(f"/vms/{vmid}", privilege)


_STORAGE = "/nodes/{node}/storage/{storage}"
ROUTES = (
    Route("GET", "/storage", configurations),
    Route("GET", "/storage/{storage}", configuration),
    Route("GET", "/nodes/{node}/storage", listing),
    Route("GET", f"{_STORAGE}/status", status),
    Route("GET", f"{_STORAGE}/content", content),
)
