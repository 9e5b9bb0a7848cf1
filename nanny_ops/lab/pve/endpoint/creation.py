"""The calls that make guests and remove them: create, clone, template, destroy."""

import re
from functools import partial
from typing import Any

from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.endpoint import power
from nanny_ops.lab.pve.endpoint.guest import found
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state import setting, snapshot
from nanny_ops.lab.pve.state.guest import WORD, Conf, Guest
from nanny_ops.lab.pve.state.pool import Pool
from nanny_ops.lab.pve.state.task import Worker

#: Parameters of a container's creation that are no settings.
_ABOUT = frozenset(
    {
        *("node", "vmid", "ostemplate", "storage", "pool", "password", "ssh-public-keys", "start", "force", "restore"),
        *("unique", "bwlimit", "ignore-unpack-errors", "rootfs"),
    }
)


def create(api: Api, call: Call) -> Any:
    """Begin a task that makes a container from a template; what the lab makes is simulated."""
    api.cluster.need_quorum()
    _need_unused(api, call.vmid)
    if call.flag("restore"):
        raise Refusal(500, "the lab restores no backups")
    rootfs = call.text("rootfs", f"{call.text('storage', 'local')}:4")
    storage, _, size = rootfs.split(",")[0].partition(":")
    _need_storage(api, storage)
    pool = _pool(api, call)
    disk = f"{storage}:{call.vmid}/vm-{call.vmid}-disk-0.raw,size={size or 4}G"
    given = {name: setting.typed("lxc", name, call.text(name)) for name in call.given if name not in _ABOUT}
    for name in [name for name in given if setting.is_network(name)]:
        given[name] = setting.with_mac("lxc", str(given[name]), setting.fresh_mac(api.dice))
    base: Conf = {"arch": "amd64", "ostype": "debian", "memory": 512, "swap": 512, "hostname": f"CT{call.vmid}"}
    guest = Guest(call.vmid, "lxc", call.node, base | given | {"rootfs": disk}, born=api.clock())
    return power.begin(api, call, "create", partial(_create, api, call, guest, pool))


def _create(api: Api, call: Call, guest: Guest, pool: Pool | None, worker: Worker) -> None:
    template = call.text("ostemplate")
    volume = guest.volumes[0]
    guest.conf["lock"] = "create"
    api.cluster.create(guest)
    try:
        worker.say(f"Formatting '{volume.volid}', fmt=raw size={volume.size} preallocation=off")
        worker.take(1)
        _need_volume(api, guest, template)
        worker.say(f"extracting archive '{template}'")
        worker.take(3)
        api.cluster.power.create(guest)
    except BaseException:
        api.cluster.forget(guest.vmid)
        raise
    worker.say("Detected container architecture: amd64")
    if api.cluster.release != "8.4" and not power.may_nest(guest):
        worker.warn(power.NESTING)
    _finish(api, guest, pool)
    if call.flag("start"):
        power.start_now(api, guest, worker)


def _need_volume(api: Api, guest: Guest, volid: str) -> None:
    storage = api.cluster.storages.get(volid.partition(":")[0])
    lying = [volume for rows in storage.volumes.values() for volume in rows] if storage else []
    if volid not in {volume.volid for volume in lying}:
        raise Refusal(500, f"unable to create CT {guest.vmid} - volume '{volid}' does not exist")


def _finish(api: Api, guest: Guest, pool: Pool | None) -> None:
    with api.lock:
        guest.conf.pop("lock", None)
        api.cluster.records.write(guest)
        if pool is not None:
            pool.vmids.add(guest.vmid)


def destroy(api: Api, call: Call) -> Any:
    """Begin a task that removes a guest; what forbids it is told at once."""
    guest, reading = found(api, call)
    word = WORD[guest.kind]
    if guest.protected:
        raise Refusal(500, f"can't remove {word} {guest.vmid} - protection mode enabled")
    if not call.flag("force") and not call.flag("skiplock"):
        snapshot.check_lock(guest)
    if reading.running and guest.kind == "qemu":
        raise Refusal(500, f"VM {guest.vmid} is running - destroy failed")
    if reading.running and not call.flag("force"):
        raise Refusal(500, f"unable to destroy CT {guest.vmid} - container is running")
    return power.begin(api, call, "destroy", partial(_destroy, api, call))


def _destroy(api: Api, call: Call, worker: Worker) -> None:
    guest, reading = found(api, call)
    if reading.running:
        api.cluster.power.stop(guest)
    worker.take(1)
    if call.flag("purge"):
        worker.say(f"purging {WORD[guest.kind]} {guest.vmid} from related configurations..")
    for pool in api.cluster.pools.values():
        pool.vmids.discard(guest.vmid)
    api.cluster.destroy(guest.vmid)


def clone(api: Api, call: Call) -> Any:
    """Begin a task that copies a guest under another id; what forbids it is told at once."""
    guest, reading = found(api, call)
    snapshot.check_lock(guest)
    _need_unused(api, call.number("newid"))
    old = snapshot.existing(guest, call.text("snapname")) if call.text("snapname") else guest.conf
    full = call.flag("full", default=not guest.template)
    if full and reading.running and guest.kind == "lxc" and not call.text("snapname"):
        raise Refusal(500, "Cannot do full clones on a running container without snapshots")
    if not full and not snapshot.feature(guest, "clone", api.cluster.storages):
        volid = next((volume.volid for volume in guest.volumes), "")
        raise Refusal(500, f"Linked clone feature for '{volid}' is not available")
    target = call.text("target", call.node)
    if target not in api.cluster.nodes:
        raise Refusal(500, f"no such cluster node '{target}'")
    fresh = _copy_of(api, call, guest, old)
    return power.begin(api, call, "clone", partial(_clone, api, fresh, _pool(api, call)))


def _copy_of(api: Api, call: Call, guest: Guest, old: Conf) -> Guest:
    newid = call.number("newid")
    kept = {key: value for key, value in old.items() if key not in {"template", "parent", "snaptime", "protection"}}
    disks = {volume.key for volume in guest.volumes}
    for key in disks & kept.keys():
        fresh = re.sub(rf"\b{guest.vmid}\b", str(newid), str(kept[key])).replace("/base-", "/vm-")
        kept[key] = fresh
    for key in [key for key in kept if setting.is_network(key)]:
        kept[key] = setting.with_mac(guest.kind, setting.without_mac(str(kept[key])), setting.fresh_mac(api.dice))
    name = "hostname" if guest.kind == "lxc" else "name"
    kept[name] = call.text("hostname" if guest.kind == "lxc" else "name", f"Copy-of-{WORD[guest.kind]}-{guest.name}")
    if call.text("description"):
        kept["description"] = snapshot.lines(call.text("description"))
    return Guest(newid, guest.kind, call.text("target", call.node), kept, habits=guest.habits, born=api.clock())


def _clone(api: Api, guest: Guest, pool: Pool | None, worker: Worker) -> None:
    guest.conf["lock"] = "create"
    api.cluster.create(guest)
    try:
        for volume in guest.volumes:
            worker.say(f"create full clone of mountpoint {volume.key} ({volume.volid})")
            worker.take(2)
        api.cluster.power.create(guest)
    except BaseException:
        api.cluster.forget(guest.vmid)
        raise
    _finish(api, guest, pool)


def template(api: Api, call: Call) -> Any:
    """Turn a guest into a template: a container at once, a machine by a task."""
    guest, reading = found(api, call)
    word = "CT" if guest.kind == "lxc" else "VM"
    snapshot.check_lock(guest)
    if guest.snapshots:
        raise Refusal(500, f"unable to create template, because {word} contains snapshots")
    if guest.template:
        raise Refusal(500, f"you can't convert a {word} to template, it already is one")
    if reading.running:
        raise Refusal(500, f"you can't convert a {word} to template if the {word} is running")
    if guest.kind == "lxc":
        return _template(api, guest, api.tasks.daemon_pid(call.node))
    return power.begin(api, call, "template", lambda worker: _template(api, guest, worker.task.pid))


def _template(api: Api, guest: Guest, pid: int) -> None:
    with api.lock:
        for volume in guest.volumes:
            guest.conf[volume.key] = str(guest.conf[volume.key]).replace("/vm-", "/base-")
        guest.conf["template"] = 1
        api.cluster.save(guest, pid)


def _need_unused(api: Api, vmid: int) -> None:
    if taken := api.cluster.guests.get(vmid):
        raise Refusal(500, f"{WORD[taken.kind]} {vmid} already exists on node '{taken.node}'")


def _need_storage(api: Api, name: str) -> None:
    if name not in api.cluster.storages:
        raise Refusal(500, f"storage '{name}' does not exist")


def _pool(api: Api, call: Call) -> Pool | None:
    name = call.text("pool")
    if name and name not in api.cluster.pools:
        raise Refusal(500, f"pool '{name}' does not exist")
    return api.cluster.pools[name] if name else None


ROUTES = (
    Route("POST", "/nodes/{node}/lxc", create),
    Route("DELETE", "/nodes/{node}/lxc/{vmid}", destroy),
    Route("DELETE", "/nodes/{node}/qemu/{vmid}", destroy),
    *(Route("POST", f"/nodes/{{node}}/{kind}/{{vmid}}/clone", clone) for kind in ("lxc", "qemu")),
    *(Route("POST", f"/nodes/{{node}}/{kind}/{{vmid}}/template", template) for kind in ("lxc", "qemu")),
)
