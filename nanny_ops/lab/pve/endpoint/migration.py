"""The calls that move guests to other nodes; a container's disk is copied, a running machine's memory is not."""

import time
from functools import partial
from typing import Any

from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.endpoint import power
from nanny_ops.lab.pve.endpoint.guest import found
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.guest import WORD, Guest
from nanny_ops.lab.pve.state.snapshot import check_lock
from nanny_ops.lab.pve.state.task import Worker

#: Bytes of disk that are copied in a second.
COPIED = 120_000_000


def where(api: Api, call: Call) -> Any:
    """Answer with the nodes that a guest could move to."""
    guest, reading = found(api, call)
    others = [node.name for node in api.cluster.nodes.values() if node.online and node.name != guest.node]
    running = int(reading.running)
    if guest.kind == "lxc":
        return {"running": running, "allowed-nodes": others, "not-allowed-nodes": {}}
    disks = [{"volid": volume.volid, "size": volume.size, "cdrom": 0} for volume in guest.volumes]
    nothing: dict[str, Any] = {"local_resources": [], "mapped-resources": [], "mapped-resource-info": {}}
    return nothing | {"running": running, "local_disks": disks, "allowed_nodes": others, "not_allowed_nodes": {}}


def migrate(api: Api, call: Call) -> Any:
    """Begin a task that moves a guest."""
    target = call.text("target")
    if target == call.node:
        raise call.wrong(target="target is local node.")
    if target not in api.cluster.nodes:
        raise Refusal(500, f"no such cluster node '{target}'")
    guest, reading = found(api, call)
    if reading.running and not call.flag("online") and not call.flag("restart"):
        what = "container without --online or --restart" if guest.kind == "lxc" else "VM without --online"
        raise Refusal(500, f"can't migrate running {what}")
    return power.begin(api, call, "migrate", partial(_migrate, api, call))


def _migrate(api: Api, call: Call, worker: Worker) -> None:
    began = api.clock()

    def say(line: str) -> None:
        worker.say(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(api.clock()))} {line}")

    try:
        _move(api, call, worker, say)
    except Refusal as refusal:
        say(f"ERROR: migration aborted (duration {_span(api.clock() - began)}): {refusal.text}")
        raise Refusal(500, "migration aborted") from refusal
    say(f"migration finished successfully (duration {_span(api.clock() - began)})")


def _move(api: Api, call: Call, worker: Worker, say: Any) -> None:
    guest, reading = found(api, call)
    target = api.cluster.nodes[call.text("target")]
    check_lock(guest)
    if not target.online:
        raise Refusal(500, f"ssh: connect to host {target.ip} port 22: No route to host")
    restart = reading.running and call.flag("restart") and guest.kind == "lxc"
    if restart:
        say(f"shutdown {WORD[guest.kind]} {guest.vmid}")
        power.end(api, guest, worker, power.SHUTDOWN_TIMEOUT, force=True)
    say(f"starting migration of {WORD[guest.kind]} {guest.vmid} to node '{target.name}' ({target.ip})")
    _copy(api, guest, worker, say)
    say("start final cleanup")
    with api.lock:
        guest.conf.pop("lock", None)
        api.cluster.migrate(guest.vmid, target.name)
    if restart:
        say("start container on target node")
        power.start_now(api, guest, worker)


def _copy(api: Api, guest: Guest, worker: Worker, say: Any) -> None:
    with api.lock:
        guest.conf["lock"] = "migrate"
        api.cluster.save(guest, worker.task.pid)
    try:
        for volume in guest.volumes:
            say(f"found local volume '{volume.volid}' (in current VM config)")
            worker.take(volume.size / COPIED)
            say(f"volume '{volume.volid}' is '{volume.volid}' on the target")
    except BaseException:
        guest.conf.pop("lock", None)
        raise


def _span(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds))


ROUTES = (
    Route("GET", "/nodes/{node}/lxc/{vmid}/migrate", where),
    Route("GET", "/nodes/{node}/qemu/{vmid}/migrate", where),
    Route("POST", "/nodes/{node}/lxc/{vmid}/migrate", migrate),
    Route("POST", "/nodes/{node}/qemu/{vmid}/migrate", migrate),
)
