"""The calls about a guest's configuration: as it is, as it will be, and how it is changed."""

import random
import re
from collections.abc import Callable, Iterable
from typing import Any

from nanny_ops.lab.pve import conf
from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.endpoint import power
from nanny_ops.lab.pve.endpoint.guest import found
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.schema.permission import refused
from nanny_ops.lab.pve.state import setting, snapshot
from nanny_ops.lab.pve.state.guest import Conf, Guest
from nanny_ops.lab.pve.state.task import Worker

#: Parameters of the call that are no settings.
_ABOUT = frozenset({"node", "vmid", "digest", "delete", "revert", "skiplock", "force", "background_delay", "import"})


def config(api: Api, call: Call) -> Any:
    """Answer with a guest's configuration and its digest: as it will be, with ``current`` as it is."""
    guest = found(api, call)[0]
    if name := call.text("snapshot"):
        return conf.shown(guest, snapshot.existing(guest, name))
    return conf.shown(guest, guest.conf if call.flag("current") else guest.effective())


def pending(api: Api, call: Call) -> Any:
    """Answer with a guest's settings one by one, each with what waits for it."""
    guest = found(api, call)[0]
    rows = [_row(guest, key) for key in dict.fromkeys([*guest.conf, *guest.pending])]
    return api.shuffled([*rows, {"key": "digest", "value": conf.digest(guest)}])


def _row(guest: Guest, key: str) -> dict[str, Any]:
    row: dict[str, Any] = {"key": key} | ({"value": guest.conf[key]} if key in guest.conf else {})
    if key in guest.pending:
        value = guest.pending[key]
        row |= {"delete": 1} if value is None else {"pending": value}
    return row


def change(api: Api, call: Call) -> None:
    """Change settings; of a running guest some wait for its next start."""
    _check(api, call)
    _change(api, call, api.tasks.daemon_pid(call.node))


def change_later(api: Api, call: Call) -> str:
    """Begin a task that changes settings of a machine."""
    _check(api, call)

    def work(worker: Worker) -> None:
        _change(api, call, worker.task.pid)

    return power.begin(api, call, "config", work)


def _check(api: Api, call: Call) -> None:
    """Raise Refusal for what is wrong without a look at the guest."""
    fresh, doomed, undone = _fresh(call, api.dice), _listed(call, "delete"), _listed(call, "revert")
    if not (fresh or doomed or undone):
        raise Refusal(500, "no options specified")
    for word, names in (("delete", doomed), ("revert", undone)):
        for name in names:
            if name in fresh:
                raise call.wrong(**{word: f"you can't use '-{name}' and -{word} {name}' at the same time"})
    for name in doomed:
        if name in setting.REQUIRED[call.kind]:
            raise Refusal(500, f"unable to delete required option '{name}'")
    _check_privileges(api, call, fresh, {*doomed, *undone})


def _check_privileges(api: Api, call: Call, fresh: Conf, touched: set[str]) -> None:
    if call.caller.is_root:
        return
    for name in sorted({*fresh, *touched}):
        call.caller.need(f"/vms/{call.vmid}", setting.privilege(call.kind, name))
    for name in sorted(setting.ROOT_ONLY & {*fresh, *touched}) if call.kind == "qemu" else ():
        raise Refusal(500, f"only root can set '{name}' config")
    if call.kind == "lxc" and "hookscript" in fresh:
        raise refused("changing the hookscript is only allowed for root@pam")
    if call.kind == "lxc" and "features" in fresh:
        before = api.cluster.find(call.node, "lxc", call.vmid).conf.get("features", "")
        if _flags(str(fresh["features"])) ^ _flags(str(before)):
            raise refused("changing feature flags (except nesting) is only allowed for root@pam")


def _flags(features: str) -> set[str]:
    flags = (part for part in features.split(",") if part and not part.endswith("=0"))
    return {flag for flag in flags if not flag.startswith("nesting=")}


def _change(api: Api, call: Call, pid: int) -> None:
    with api.lock:
        guest, reading = found(api, call)
        if not call.flag("skiplock"):
            snapshot.check_lock(guest)
        if call.given.get("digest", conf.digest(guest)) != conf.digest(guest):
            raise Refusal(500, "detected modified configuration - file changed by other user? Try again.")
        before = dict(guest.conf), dict(guest.pending)
        try:
            for name in _listed(call, "revert"):
                guest.pending.pop(name, None)
            _set(guest, dict.fromkeys(_listed(call, "delete")) | _fresh(call, api.dice), running=reading.running)
            api.cluster.save(guest, pid)
        except Refusal:
            guest.conf, guest.pending = before
            raise


def _set(guest: Guest, changes: Conf, *, running: bool) -> None:
    for name, value in changes.items():
        guest.pending.pop(name, None)
        if running and not setting.takes_effect_at_once(guest.kind, name):
            if value != guest.conf.get(name):
                guest.pending[name] = value
        elif value is None:
            guest.conf.pop(name, None)
        else:
            guest.conf[name] = value


def _fresh(call: Call, dice: random.Random) -> Conf:
    given: Iterable[str] = (name for name in call.given if name not in _ABOUT)
    found = {name: setting.typed(call.kind, name, call.text(name)) for name in given}
    for name in [name for name in found if setting.is_network(name)]:
        found[name] = setting.with_mac(call.kind, str(found[name]), setting.fresh_mac(dice))
    return found


def _listed(call: Call, name: str) -> list[str]:
    return list(filter(None, re.split(r"[,;\s\0]+", call.text(name))))


_BOTH: tuple[tuple[str, str, Callable[[Api, Call], Any]], ...] = (
    ("GET", "/config", config),
    ("GET", "/pending", pending),
    ("PUT", "/config", change),
)
ROUTES = (
    *(
        Route(method, f"/nodes/{{node}}/{kind}/{{vmid}}{path}", answer)
        for kind in ("lxc", "qemu")
        for method, path, answer in _BOTH
    ),
    Route("POST", "/nodes/{node}/qemu/{vmid}/config", change_later),
)
