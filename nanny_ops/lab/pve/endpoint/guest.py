"""The calls about one guest or the guests of a node, and the tasks that change them."""

from typing import Any

from nanny_ops.lab.pve import conf
from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.shape import guest as shape
from nanny_ops.lab.pve.state.guest import WORD, Guest
from nanny_ops.lab.pve.state.task import Work

#: Seconds that a guest gets to shut down unless the request says otherwise.
SHUTDOWN_TIMEOUT = 60


def listing(api: Api, call: Call) -> Any:
    """Answer with the guests of one kind on a node that the token may see."""
    cluster = api.cluster
    guests = cluster.list_guests(node=call.node, kind=call.kind)
    visible = [guest for guest in guests if call.caller.may(f"/vms/{guest.vmid}", "VM.Audit")]
    return api.shuffled([shape.guest_row(g, cluster.power.read(g), cluster.release) for g in visible])


def _guest(api: Api, call: Call, privilege: str = "VM.Audit") -> Guest:
    call.caller.need(f"/vms/{call.vmid}", privilege)
    return api.cluster.find(call.node, call.kind, call.vmid)


def config(api: Api, call: Call) -> Any:
    """Answer with a guest's configuration and its digest."""
    return conf.with_digest(_guest(api, call))


def current(api: Api, call: Call) -> Any:
    """Answer with what a guest does now."""
    guest = _guest(api, call)
    return shape.guest_current(guest, api.cluster.power.read(guest), api.cluster.release)


def start(api: Api, call: Call) -> Any:
    """Begin a task that starts a guest; most refusals stand only in the task."""
    call.caller.need(f"/vms/{call.vmid}", "VM.PowerMgmt")
    api.cluster.need_quorum()
    if call.kind == "lxc" and _runs(api, call):
        raise Refusal(500, f"CT {call.vmid} already running")
    return _begin(api, call, "start", lambda _worker: _do_start(api, call))


def _do_start(api: Api, call: Call) -> None:
    guest = api.cluster.find(call.node, call.kind, call.vmid)
    if guest.template:
        raise Refusal(500, f"you can't start a {'CT' if guest.kind == 'lxc' else 'vm'} if it's a template")
    if guest.lock:
        raise Refusal(500, f"{WORD[guest.kind]} is locked ({guest.lock})")
    if api.cluster.power.read(guest).running:
        raise Refusal(500, f"{WORD[guest.kind]} {guest.vmid} already running")
    api.cluster.power.start(guest)


def stop(api: Api, call: Call) -> Any:
    """Begin a task that stops a guest at once."""
    _need_running(api, call)
    return _begin(api, call, "stop", lambda _worker: api.cluster.power.stop(_unlocked(api, call)))


def shutdown(api: Api, call: Call) -> Any:
    """Begin a task that asks a guest to end."""
    _need_running(api, call)
    timeout = call.number("timeout", SHUTDOWN_TIMEOUT)
    return _begin(api, call, "shutdown", lambda _worker: _do_shutdown(api, call, timeout))


def _do_shutdown(api: Api, call: Call, timeout: int) -> None:
    guest = _unlocked(api, call)
    if api.cluster.power.shutdown(guest, timeout):
        return
    if not call.flag("forceStop"):
        raise Refusal(
            500, "VM quit/powerdown failed - got timeout" if guest.kind == "qemu" else "container did not stop"
        )
    api.cluster.power.stop(guest)


def _need_running(api: Api, call: Call) -> None:
    call.caller.need(f"/vms/{call.vmid}", "VM.PowerMgmt")
    if call.kind == "lxc" and not _runs(api, call):
        raise Refusal(500, f"CT {call.vmid} not running")


def _unlocked(api: Api, call: Call) -> Guest:
    guest = api.cluster.find(call.node, call.kind, call.vmid)
    if guest.lock:
        raise Refusal(500, f"{WORD[guest.kind]} is locked ({guest.lock})")
    return guest


def _runs(api: Api, call: Call) -> bool:
    here = api.cluster.list_guests(node=call.node, kind=call.kind)
    return any(guest.vmid == call.vmid and api.cluster.power.read(guest).running for guest in here)


def _begin(api: Api, call: Call, verb: str, work: Work) -> str:
    kind = ("vz" if call.kind == "lxc" else "qm") + verb
    return api.tasks.begin(call.node, kind, call.vmid, call.caller.who, work)


#: The calls that containers and virtual machines share.
_SHARED = (
    ("GET", "/config", config),
    ("GET", "/status/current", current),
    ("POST", "/status/start", start),
    ("POST", "/status/stop", stop),
    ("POST", "/status/shutdown", shutdown),
)
ROUTES = (
    *(Route("GET", f"/nodes/{{node}}/{kind}", listing) for kind in ("lxc", "qemu")),
    *(
        Route(method, f"/nodes/{{node}}/{kind}/{{vmid}}{path}", function)
        for kind in ("lxc", "qemu")
        for method, path, function in _SHARED
    ),
)
