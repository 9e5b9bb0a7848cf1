"""The calls that read one guest or the guests of a node; changing them has modules of its own."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.shape import guest as shape
from nanny_ops.lab.pve.state import snapshot
from nanny_ops.lab.pve.state.guest import Guest, Reading

#: What the real program lists below a guest; it is not all that there is.
_BELOW = {
    "lxc": "config pending status vncproxy termproxy vncwebsocket spiceproxy migrate clone rrd rrddata firewall "
    "snapshot resize interfaces",
    "qemu": "config cloudinit pending status unlink vncproxy termproxy migrate resize move rrd rrddata monitor agent "
    "snapshot spiceproxy sendkey firewall mtunnel remote_migrate",
}
_BELOW_STATUS = {"lxc": "current start stop shutdown reboot migrate", "qemu": "current start stop reset shutdown"}
#: SHA-1 of nothing: the digest of a firewall file that does not exist.
_NO_FILE = "da39a3ee5e6b4b0d3255bfef95601890afd80709"


def listing(api: Api, call: Call) -> Any:
    """Answer with the guests of one kind on a node that the caller may see."""
    cluster = api.cluster
    node = cluster.nodes[call.node]
    guests = cluster.list_guests(node=call.node, kind=call.kind)
    visible = [guest for guest in guests if call.caller.may(f"/vms/{guest.vmid}", "VM.Audit")]
    return api.shuffled([shape.guest_row(g, cluster.power.read(g), cluster.release, node) for g in visible])


def index(_api: Api, call: Call) -> Any:
    """Answer with what there is below a guest, whether the guest exists or not."""
    return [{"subdir": name} for name in _BELOW[call.kind].split()]


def status_index(_api: Api, call: Call) -> Any:
    """Answer with what there is below its status."""
    return [{"subdir": name} for name in _BELOW_STATUS[call.kind].split()]


def current(api: Api, call: Call) -> Any:
    """Answer with what a guest does now."""
    guest, reading = found(api, call)
    return shape.guest_current(guest, reading, api.cluster.release, api.cluster.nodes[guest.node])


def interfaces(api: Api, call: Call) -> Any:
    """Answer with a container's network interfaces; null when it does not run, and when there is none."""
    here = api.cluster.list_guests(node=call.node, kind="lxc")
    guest = next((guest for guest in here if guest.vmid == call.vmid), None)
    if guest is None or not api.cluster.power.read(guest).running:
        return None
    return shape.interfaces(guest)


def can(api: Api, call: Call) -> Any:
    """Answer whether a guest's disks allow snapshots, clones or copies, and for a machine also on which nodes."""
    guest = api.cluster.find(call.node, call.kind, call.vmid)
    answer: dict[str, Any] = {"hasFeature": int(snapshot.feature(guest, call.text("feature"), api.cluster.storages))}
    if guest.kind == "qemu":
        answer["nodes"] = _nodes(api, guest)
    return answer


def _nodes(api: Api, guest: Guest) -> list[str]:
    """Return the nodes that could run a machine: all, unless a disk lies on a storage that is not shared."""
    used = [api.cluster.storages.get(volume.storage) for volume in guest.volumes]
    if all(storage is not None and storage.shared for storage in used):
        return sorted(api.cluster.nodes)
    return [guest.node]


def firewall_options(_api: Api, _call: Call) -> Any:
    """Answer with the options of a guest's firewall: none are set."""
    return {"digest": _NO_FILE}


def found(api: Api, call: Call) -> tuple[Guest, Reading]:
    """Return the guest of the path and what it does now. Raises Refusal."""
    guest = api.cluster.find(call.node, call.kind, call.vmid)
    return guest, api.cluster.power.read(guest)


_SHARED = (
    ("", index),
    ("/status", status_index),
    ("/status/current", current),
    ("/feature", can),
    ("/firewall/options", firewall_options),
)
ROUTES = (
    *(Route("GET", f"/nodes/{{node}}/{kind}", listing) for kind in ("lxc", "qemu")),
    *(
        Route("GET", f"/nodes/{{node}}/{kind}/{{vmid}}{path}", answer)
        for kind in ("lxc", "qemu")
        for path, answer in _SHARED
    ),
    Route("GET", "/nodes/{node}/lxc/{vmid}/interfaces", interfaces),
)
