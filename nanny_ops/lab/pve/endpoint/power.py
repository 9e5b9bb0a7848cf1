"""The calls that start and stop guests; most refusals stand only in the task."""

from collections.abc import Callable
from functools import partial
from typing import Any

from nanny_ops.errors import MachineError
from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.endpoint.guest import found
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.guest import WORD, Guest
from nanny_ops.lab.pve.state.snapshot import check_lock
from nanny_ops.lab.pve.state.task import Work, Worker

#: Seconds that a guest gets to shut down unless the request says otherwise.
SHUTDOWN_TIMEOUT = 60
#: How a container's system is greeted by 9.x where it may need to nest and must not.
NESTING = "Systemd 252 detected. You may need to enable nesting."


def start(api: Api, call: Call) -> Any:
    """Begin a task that starts a guest."""
    _check_skiplock(call)
    api.cluster.need_quorum()
    if call.kind == "lxc" and _runs(api, call):
        raise Refusal(500, f"CT {call.vmid} already running")
    return begin(api, call, "start", partial(_start, api, call))


def _start(api: Api, call: Call, worker: Worker) -> None:
    start_checked(api, found(api, call)[0], worker, skiplock=call.flag("skiplock"))


def start_checked(api: Api, guest: Guest, worker: Worker, *, skiplock: bool = False) -> None:
    """Start a guest. Raises Refusal for a template, a locked guest and one that runs."""
    if guest.template:
        raise Refusal(500, f"you can't start a {'CT' if guest.kind == 'lxc' else 'vm'} if it's a template")
    if not skiplock:
        check_lock(guest, "mounted")
    if api.cluster.power.read(guest).running:
        raise Refusal(500, f"{WORD[guest.kind]} {guest.vmid} already running")
    start_now(api, guest, worker)


def start_now(api: Api, guest: Guest, worker: Worker) -> None:
    """Start a guest with what waited for it. Raises Refusal; a container that fails to start may stay ``mounted``."""
    with api.lock:
        if guest.pending:
            guest.apply_pending()
            api.cluster.save(guest, worker.task.pid)
    worker.take(1)
    try:
        api.cluster.power.start(guest)
    except MachineError as wrong:
        if guest.kind == "lxc":
            guest.conf["lock"] = "mounted"
            api.cluster.save(guest, worker.task.pid)
            raise Refusal(500, f"startup for container '{guest.vmid}' failed") from wrong
        raise
    if api.cluster.release != "8.4" and guest.kind == "lxc" and not may_nest(guest):
        worker.warn(NESTING)


def may_nest(guest: Guest) -> bool:
    """Return whether a container's features allow nesting."""
    return "nesting=1" in str(guest.conf.get("features", "")).split(",")


def stop(api: Api, call: Call) -> Any:
    """Begin a task that stops a guest at once."""
    _check_skiplock(call)
    _need_running(api, call)
    return begin(api, call, "stop", partial(_stop, api, call))


def _stop(api: Api, call: Call, worker: Worker) -> None:
    guest = found(api, call)[0]
    if not call.flag("skiplock"):
        check_lock(guest)
    worker.take(0.5)
    api.cluster.power.stop(guest)
    guest.paused = False


def shutdown(api: Api, call: Call) -> Any:
    """Begin a task that asks a guest to end."""
    _check_skiplock(call)
    _need_running(api, call)
    return begin(api, call, "shutdown", partial(_shutdown, api, call))


def _shutdown(api: Api, call: Call, worker: Worker) -> None:
    guest, reading = found(api, call)
    if not call.flag("skiplock"):
        check_lock(guest)
    if reading.running:
        end(api, guest, worker, call.number("timeout", SHUTDOWN_TIMEOUT), force=call.flag("forceStop"))


def end(api: Api, guest: Guest, worker: Worker, timeout: float, *, force: bool) -> None:
    """Ask a guest to end within ``timeout`` seconds, and with ``force`` stop it then. Raises Refusal."""
    worker.take(min(1.0, timeout))
    if api.cluster.power.shutdown(guest, timeout):
        return
    worker.take(timeout)
    if force:
        api.cluster.power.stop(guest)
        return
    text = "VM quit/powerdown failed - got timeout" if guest.kind == "qemu" else "container did not stop"
    raise Refusal(500, text)


def reboot(api: Api, call: Call) -> Any:
    """Begin a task that ends a guest and starts it again."""
    if not _runs(api, call):
        raise Refusal(500, f"VM {call.vmid} not running")  # of a container too
    return begin(api, call, "reboot", partial(_reboot, api, call))


def _reboot(api: Api, call: Call, worker: Worker) -> None:
    """Reboot; a container that is locked, or without quorum, ends and then does not start."""
    guest = found(api, call)[0]
    if guest.kind == "qemu":
        check_lock(guest)
    end(api, guest, worker, call.number("timeout", SHUTDOWN_TIMEOUT), force=False)
    if guest.kind == "lxc" and (guest.lock not in {"", "mounted"} or not api.cluster.quorate):
        raise Refusal(500, f"startup for container '{guest.vmid}' failed")
    start_now(api, guest, worker)


def suspend(api: Api, call: Call) -> Any:
    """Begin a task that suspends a guest: containers cannot be, and no machine is written to disk."""
    _check_skiplock(call)
    if not _runs(api, call):
        raise Refusal(500, f"{'CT' if call.kind == 'lxc' else 'VM'} {call.vmid} not running")
    return begin(api, call, "suspend", partial(_suspend, api, call))


def _suspend(api: Api, call: Call, worker: Worker) -> None:
    guest = found(api, call)[0]
    check_lock(guest)
    worker.take(1)
    if call.flag("todisk"):
        raise Refusal(500, "the lab writes no machine to disk")
    if guest.kind == "qemu":
        guest.paused = True
        return
    worker.say(f"lxc-checkpoint: {guest.vmid}: criu_version_ok: No such file or directory - execing criu failed")
    worker.say(f"lxc-checkpoint: {guest.vmid}: checkpoint: Checkpointing {guest.vmid} failed")
    command = f"lxc-checkpoint -n {guest.vmid} -s -D /var/lib/vz/dump"
    raise Refusal(500, f"command '{command}' failed: exit code 1")


def resume(api: Api, call: Call) -> Any:
    """Begin a task that lets a suspended machine go on."""
    return begin(api, call, "resume", partial(_go_on, api, call, "resume"))


def reset(api: Api, call: Call) -> Any:
    """Begin a task that resets a machine, as its button does."""
    return begin(api, call, "reset", partial(_go_on, api, call, "reset"))


def _go_on(api: Api, call: Call, verb: str, worker: Worker) -> None:
    guest, reading = found(api, call)
    check_lock(guest)
    if not reading.running:
        raise Refusal(500, f"{WORD[guest.kind]} {guest.vmid} not running")
    worker.take(0.5)
    if verb == "reset":
        api.cluster.power.stop(guest)
        api.cluster.power.start(guest)
    guest.paused = False


def _check_skiplock(call: Call) -> None:
    if call.flag("skiplock") and not call.caller.is_root:
        raise call.wrong(skiplock="Only root may use this option.")


def _need_running(api: Api, call: Call) -> None:
    if call.kind == "lxc" and not _runs(api, call):
        raise Refusal(500, f"CT {call.vmid} not running")


def _runs(api: Api, call: Call) -> bool:
    here = api.cluster.list_guests(node=call.node, kind=call.kind)
    return any(guest.vmid == call.vmid and api.cluster.power.read(guest).running for guest in here)


def begin(api: Api, call: Call, verb: str, work: Work) -> str:
    """Begin a task about the guest in the path and return its UPID."""
    kind = ("vz" if call.kind == "lxc" else "qm") + verb
    return api.tasks.begin(call.node, kind, call.vmid, call.caller.who, work)


_CALLS: tuple[tuple[str, Callable[[Api, Call], Any]], ...] = (
    ("start", start),
    ("stop", stop),
    ("shutdown", shutdown),
    ("reboot", reboot),
    ("suspend", suspend),
)
ROUTES = tuple(
    Route("POST", f"/nodes/{{node}}/{kind}/{{vmid}}/status/{verb}", answer)
    for kind in ("lxc", "qemu")
    for verb, answer in _CALLS
) + tuple(
    Route("POST", f"/nodes/{{node}}/qemu/{{vmid}}/status/{verb}", answer)
    for verb, answer in (("resume", resume), ("reset", reset))
)
