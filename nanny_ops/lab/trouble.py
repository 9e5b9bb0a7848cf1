"""What may be wrong with a lab, by name: ``node-down=pve2``, ``slow=250@/cluster/.*``, ``lock=101:backup`` ...

The same words serve ``nanny-ops lab up --fault`` and tests. Each is read before the lab opens and caused after it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from nanny_ops.errors import SettingsError
from nanny_ops.lab.pve import fault
from nanny_ops.lab.pve.fault import Ask, Bend, Fault, Faults, Refuse, Slow
from nanny_ops.lab.pve.state.access import Access, Grant
from nanny_ops.lab.pve.state.cluster import Cluster
from nanny_ops.lab.pve.state.node import Node

#: Seconds until a client that asks the swallowed port itself is cut off.
SWALLOWED = 30.0
#: Role of an agent from whom privileges were taken.
LESS = "LabAuditorWithLess"
#: Status -> reason phrase that real Proxmox VE gives with it, for ``status=NNN``.
REASONS = {
    401: "Authentication failed!",
    403: "Permission check failed (/, Sys.Audit)",
    500: "got no worker upid - start worker failed",
    501: "Method 'GET /' not implemented",
    595: "No route to host",
    596: "Broken pipe",
}


class Lab(Protocol):
    """What is needed of a lab."""

    faults: Faults
    access: Access
    cluster: Cluster
    #: Seconds before a 401, and by which the clock is ahead.
    refusal_delay: float
    skew: float

    @property
    def token_id(self) -> str:
        """Return the agent's token."""


@dataclass(frozen=True)
class Trouble:
    """One named fault, its value, and the pattern of the paths that it is limited to."""

    name: str
    value: str = ""
    path: str = ".*"

    def number(self) -> int:
        """Return the value as a whole number. Raises SettingsError."""
        if not re.fullmatch(r"-?\d{1,9}", self.value):
            raise SettingsError(f"The fault {self.name} takes a whole number, not '{self.value}'.")
        return int(self.value)


def parse(text: str) -> Trouble:
    """Read ``NAME``, ``NAME=VALUE`` or ``NAME=VALUE@PATH``. Raises SettingsError for a name that is not known."""
    whole, _, path = text.partition("@/")
    name, _, value = whole.partition("=")
    if name not in CATALOGUE:
        raise SettingsError(f"There is no fault '{name}'; there are {', '.join(sorted(CATALOGUE))}.")
    try:
        re.compile(path)
    except re.error as wrong:
        raise SettingsError(f"'/{path}' is no pattern of paths: {wrong}.") from wrong
    return Trouble(name, value, f"/{path}" if path else ".*")


def cause(lab: Lab, trouble: Trouble) -> None:
    """Let a trouble come over a lab, open or not yet open. Raises SettingsError for a value that does not fit it."""
    CATALOGUE[trouble.name].function(lab, trouble)


def _node(lab: Lab, trouble: Trouble) -> Node:
    node = lab.cluster.nodes.get(trouble.value)
    if node is None:
        names = ", ".join(lab.cluster.nodes)
        raise SettingsError(f"The fault {trouble.name} takes a node ({names}), not '{trouble.value}'.")
    return node


def _node_or_all(lab: Lab, trouble: Trouble) -> list[Node]:
    return [_node(lab, trouble)] if trouble.value else list(lab.cluster.nodes.values())


def _kill(lab: Lab, name: str) -> None:
    lab.faults.add(Fault(fault.dead, fault.at(name)))


def _node_down(lab: Lab, trouble: Trouble) -> None:
    node = _node(lab, trouble)
    lab.cluster.set_online(node.name, online=False)
    _kill(lab, node.name)


def _no_quorum(lab: Lab, _trouble: Trouble) -> None:
    lab.cluster.quorate = False


def _pvedaemon_stopped(lab: Lab, trouble: Trouble) -> None:
    for node in _node_or_all(lab, trouble):
        node.stopped.add("pvedaemon")


def _pveproxy_stopped(lab: Lab, trouble: Trouble) -> None:
    node = _node(lab, trouble)
    node.stopped.add("pveproxy")
    _kill(lab, node.name)


def _port_dropped(lab: Lab, trouble: Trouble) -> None:
    node = _node(lab, trouble)
    node.dropped = True
    lab.faults.add(Fault(Slow(SWALLOWED), fault.at(node.name)))
    _kill(lab, node.name)


def _slow(lab: Lab, trouble: Trouble) -> None:
    _bend(Slow(max(0, trouble.number()) / 1000))(lab, trouble)


def _status(lab: Lab, trouble: Trouble) -> None:
    status = trouble.number()
    if status not in REASONS:
        raise SettingsError(f"The fault status takes one of {', '.join(map(str, REASONS))}, not {status}.")
    _bend(Refuse(status, REASONS[status], lab.refusal_delay if status == 401 else 0.0))(lab, trouble)


def _bend(bend: Bend) -> Callable[[Lab, Trouble], None]:
    def bent(lab: Lab, trouble: Trouble) -> None:
        condition: Callable[[Ask], bool] = fault.on(trouble.path)
        lab.faults.add(Fault(bend, condition))

    return bent


def _forbidden(lab: Lab, trouble: Trouble) -> None:
    """Take one privilege from the agent's token, or all."""
    access, user = lab.access, lab.token_id.partition("!")[0]
    if trouble.value and trouble.value not in access.known_privileges:
        raise SettingsError(f"Proxmox VE {lab.cluster.release} has no privilege '{trouble.value}'.")
    held = access.privileges(user, "/")
    access.custom[LESS] = held - {trouble.value} if trouble.value else frozenset()
    access.grants[:] = [grant for grant in access.grants if grant.who != user]
    if access.custom[LESS]:
        access.grants.append(Grant("/", user, LESS))


def _expired(lab: Lab, _trouble: Trouble) -> None:
    lab.access.tokens[lab.token_id].expire = 1


def _clock_skew(lab: Lab, trouble: Trouble) -> None:
    lab.skew = float(trouble.number())


def _storage_full(lab: Lab, trouble: Trouble) -> None:
    for node in _node_or_all(lab, trouble):
        node.disk_used = node.disk


def _lock(lab: Lab, trouble: Trouble) -> None:
    vmid, _, word = trouble.value.partition(":")
    if not vmid.isdigit() or int(vmid) not in lab.cluster.guests or not re.fullmatch(r"[a-z-]+", word):
        raise SettingsError(
            f"The fault lock takes a guest's number and a lock, as in 101:backup, not '{trouble.value}'."
        )
    lab.cluster.update(int(vmid), lock=word)


@dataclass(frozen=True)
class Kind:
    """One kind of fault: what its value is, what it does to a lab, and the function that does it.

    A value in brackets may be left out; a kind ``on_path`` may be limited to paths, as in ``slow=250@/cluster/.*``.
    """

    value: str
    does: str
    function: Callable[[Lab, Trouble], None]
    on_path: bool = False

    def usage(self, name: str) -> str:
        """Return how it is written."""
        value = self.value.strip("[]")
        written = f"{name}={value}" if value else name
        return f"{name} or {written}" if self.value.startswith("[") else written


CATALOGUE: dict[str, Kind] = {
    "node-down": Kind("NODE", "a node has lost its power; its guests go on being told as running", _node_down),
    "no-quorum": Kind("", "the cluster has no quorum: reading works, starting and changing do not", _no_quorum),
    "pvedaemon-stopped": Kind(
        "[NODE]", "calls that need root's rights fail, on one node or on all", _pvedaemon_stopped
    ),
    "pveproxy-stopped": Kind("NODE", "a node's API is dead, for its peers too", _pveproxy_stopped),
    "port-dropped": Kind("NODE", "packets to a node's API vanish: 30 seconds of waiting", _port_dropped),
    "slow": Kind("MS", "answers come so many milliseconds late", _slow, on_path=True),
    "status": Kind("NNN", f"calls are answered with {', '.join(map(str, REASONS))}", _status, on_path=True),
    "half-json": Kind("", "answers are half a JSON text", _bend(fault.half_json), on_path=True),
    "gzip": Kind("", "answers are compressed though nobody asked for that", _bend(fault.packed), on_path=True),
    "cut": Kind("", "the connection is cut in the middle of an answer", _bend(fault.cut), on_path=True),
    "forbidden": Kind("[PRIVILEGE]", "the agent's token lacks all privileges, or one", _forbidden),
    "expired": Kind("", "the agent's token has expired", _expired),
    "clock-skew": Kind("SECONDS", "the installation's clock is ahead, or behind with a minus", _clock_skew),
    "storage-full": Kind("[NODE]", "the storage of all nodes, or of one, has no space left", _storage_full),
    "lock": Kind("VMID:LOCK", "a guest is locked, as by a backup", _lock),
}
#: What a person is told of them.
USAGE = ", ".join(kind.usage(name) for name, kind in CATALOGUE.items())
