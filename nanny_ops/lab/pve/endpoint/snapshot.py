"""The calls about a guest's snapshots; most refusals stand only in the task."""

from functools import partial
from typing import Any

from nanny_ops.lab.pve import conf
from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.endpoint import power
from nanny_ops.lab.pve.endpoint.guest import found
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state import snapshot
from nanny_ops.lab.pve.state.guest import WORD, Guest
from nanny_ops.lab.pve.state.task import Worker

#: Seconds that the lock is waited for which migrations and snapshots need.
LOCK_PATIENCE = 10.0
#: Seconds that a container needs to start after a rollback to a time when it ran: its file system has to be sure
#: that nobody else has it mounted.
HELD_AFTER_ROLLBACK = 45.0


def listing(api: Api, call: Call) -> Any:
    """Answer with a guest's snapshots."""
    guest, reading = found(api, call)
    return api.shuffled(snapshot.rows(guest, conf.digest(guest), running=reading.running))


def index(_api: Api, _call: Call) -> Any:
    """Answer with what there is below a snapshot."""
    return [{"cmd": "rollback"}, {"cmd": "config"}]


def config(api: Api, call: Call) -> Any:
    """Answer with the configuration that a snapshot holds."""
    return snapshot.existing(found(api, call)[0], call.text("snapname"))


def describe(api: Api, call: Call) -> None:
    """Change a snapshot's description."""
    guest = found(api, call)[0]
    with api.lock:
        snapshot.check_lock(guest)
        kept = snapshot.existing(guest, call.text("snapname"))
        if "description" in call.given:
            kept["description"] = snapshot.lines(call.text("description"))
        api.cluster.save(guest, api.tasks.daemon_pid(call.node))


def create(api: Api, call: Call) -> Any:
    """Begin a task that takes a snapshot."""
    snapshot.check_name(call.kind, call.text("snapname"))
    return power.begin(api, call, "snapshot", partial(_create, api, call))


def _create(api: Api, call: Call, worker: Worker) -> None:
    guest, reading = found(api, call)
    name = call.text("snapname")
    with api.lock:
        snapshot.check_new(guest, name, api.cluster.storages)
        _lock(api, guest, "snapshot", worker)
    try:
        if guest.kind == "qemu" and reading.running and not guest.habits.saves_state:
            _cannot_save(guest, worker)
        worker.take(1)
        api.cluster.power.keep(guest, name)
        snapshot.take(guest, name, call.text("description"), api.clock())
    finally:
        _unlock(api, guest, worker)


def _cannot_save(guest: Guest, worker: Worker) -> None:
    text = f"VM {guest.vmid} qmp command '{{}}' failed - The command {{}} has not been found"
    worker.say(text.format("savevm-end", "savevm-end"))
    worker.say("snapshot create failed: starting cleanup")
    raise Refusal(500, text.format("savevm-start", "savevm-start") + " ")


def delete(api: Api, call: Call) -> Any:
    """Begin a task that deletes a snapshot."""
    return power.begin(api, call, "delsnapshot", partial(_delete, api, call))


def _delete(api: Api, call: Call, worker: Worker) -> None:
    guest = found(api, call)[0]
    name = call.text("snapname")
    _await_turn(api, guest, worker, "Failed to obtain guest migration lock - replication running?")
    with api.lock:
        snapshot.existing(guest, name)
        if not call.flag("force"):
            snapshot.check_lock(guest)
        _lock(api, guest, "snapshot-delete", worker)
    try:
        worker.take(1)
        api.cluster.power.drop(guest, name)
        snapshot.delete(guest, name)
    finally:
        _unlock(api, guest, worker)


def rollback(api: Api, call: Call) -> Any:
    """Begin a task that takes a guest back to a snapshot; a running one is stopped."""
    return power.begin(api, call, "rollback", partial(_rollback, api, call))


def _rollback(api: Api, call: Call, worker: Worker) -> None:
    guest = found(api, call)[0]
    name = call.text("snapname")
    held = f"can't lock file '/var/lock/pve-manager/pve-migrate-{guest.vmid}' - got timeout"
    _await_turn(api, guest, worker, held)
    if guest.template:
        raise Refusal(500, f"can't rollback a {WORD[guest.kind]} that is a template")
    with api.lock:
        snapshot.existing(guest, name)
        snapshot.check_lock(guest)
        _lock(api, guest, "rollback", worker)
    try:
        if api.cluster.power.read(guest).running:
            api.cluster.power.stop(guest)
        worker.take(1)
        api.cluster.power.bring_back(guest, name)
        snapshot.go_back(guest, name)
    finally:
        _unlock(api, guest, worker)
    if call.flag("start"):
        _start_again(api, call, guest)


def _start_again(api: Api, call: Call, guest: Guest) -> None:
    """Begin a second task that starts the guest; meanwhile nothing else can be done to its snapshots."""
    guest.busy_until = api.clock() + HELD_AFTER_ROLLBACK * api.tasks.pace.factor

    def work(worker: Worker) -> None:
        power.start_now(api, guest, worker)
        worker.take(HELD_AFTER_ROLLBACK)

    power.begin(api, call, "start", work)


def _await_turn(api: Api, guest: Guest, worker: Worker, complaint: str) -> None:
    if guest.busy_until <= api.clock():
        return
    worker.say("trying to acquire lock...")
    worker.take(LOCK_PATIENCE)
    if guest.busy_until > api.clock():
        raise Refusal(500, complaint)


def _lock(api: Api, guest: Guest, lock: str, worker: Worker) -> None:
    guest.conf["lock"] = lock
    try:
        api.cluster.save(guest, worker.task.pid)
    except Refusal:
        del guest.conf["lock"]
        raise


def _unlock(api: Api, guest: Guest, worker: Worker) -> None:
    with api.lock:
        guest.conf.pop("lock", None)
        api.cluster.save(guest, worker.task.pid)


_CALLS = (
    ("GET", "", listing),
    ("POST", "", create),
    ("GET", "/{snapname}", index),
    ("DELETE", "/{snapname}", delete),
    ("GET", "/{snapname}/config", config),
    ("PUT", "/{snapname}/config", describe),
    ("POST", "/{snapname}/rollback", rollback),
)
ROUTES = tuple(
    Route(method, f"/nodes/{{node}}/{kind}/{{vmid}}/snapshot{path}", answer)
    for kind in ("lxc", "qemu")
    for method, path, answer in _CALLS
)
