"""The calls that start or stop all guests of a node."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.endpoint import power
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.guest import WORD, Guest
from nanny_ops.lab.pve.state.snapshot import check_lock
from nanny_ops.lab.pve.state.task import Worker

#: Seconds that each guest gets to shut down.
PATIENCE = 180


def start_all(api: Api, call: Call) -> Any:
    """Begin a task that starts the guests that start with their node, or with ``force`` all of those named."""
    _check(call)
    return api.tasks.begin(call.node, "startall", "", call.caller.who, lambda worker: _start(api, call, worker))


def _start(api: Api, call: Call, worker: Worker) -> None:
    api.cluster.need_quorum()
    for guest in _meant(api, call):
        wanted = call.flag("force") or guest.onboot
        if not wanted or guest.template or api.cluster.power.read(guest).running:
            continue
        worker.say(f"Starting {WORD[guest.kind]} {guest.vmid}")
        try:
            power.start_checked(api, guest, worker)
        except Refusal as refusal:
            worker.say(f"Starting {WORD[guest.kind]} {guest.vmid} failed: {refusal.text}")


def stop_all(api: Api, call: Call) -> Any:
    """Begin a task that shuts the guests down."""
    _check(call)
    return api.tasks.begin(call.node, "stopall", "", call.caller.who, lambda worker: _stop(api, call, worker))


def _stop(api: Api, call: Call, worker: Worker) -> None:
    timeout = call.number("timeout", PATIENCE)
    for guest in _meant(api, call):
        if not api.cluster.power.read(guest).running:
            continue
        worker.say(f"Stopping {WORD[guest.kind]} {guest.vmid} (timeout = {timeout} seconds)")
        try:
            check_lock(guest)
            power.end(api, guest, worker, timeout, force=call.flag("force-stop", default=True))
        except Refusal as refusal:
            worker.say(f"Stopping {WORD[guest.kind]} {guest.vmid} failed: {refusal.text}")


def _meant(api: Api, call: Call) -> list[Guest]:
    named = _named(call)
    here = sorted(api.cluster.list_guests(node=call.node), key=lambda guest: guest.vmid)
    return [guest for guest in here if not named or guest.vmid in named]


def _named(call: Call) -> set[int]:
    return {int(vmid) for vmid in call.text("vms").replace(",", " ").split()}


def _check(call: Call) -> None:
    """Raise Refusal unless the caller may start and stop everything, or all that is named."""
    if call.caller.may("/", "VM.PowerMgmt"):
        return
    for vmid in _named(call):
        call.caller.need(f"/vms/{vmid}", "VM.PowerMgmt")
    if not _named(call):
        call.caller.need("/", "VM.PowerMgmt")


ROUTES = (
    Route("POST", "/nodes/{node}/startall", start_all),
    Route("POST", "/nodes/{node}/stopall", stop_all),
)
