"""Faults on the way between a client and a node: what it costs, breaks or says no to, whatever the state would answer.

A list of faults may grow and shrink while clients ask; each answer passes through those that fit it, in order. The
texts and delays are those of real Proxmox VE, where it has been seen in that trouble.
"""

import gzip
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.server import Answer, Reply, Request

#: Seconds until the proxying node gives up on a peer whose port swallows everything.
SWALLOWED = 30.0
#: Seconds until it notices that a peer has crashed; only the very first call takes longer, about 22.
CRASHED = 3.0
_API = re.compile(r"/api2/(?:json|extjs)")
_NODE = re.compile(r"/nodes/([^/?]+)/")
_EVERYTHING = 1 << 62
#: Reads that pveproxy hands to pvedaemon, as far as an agent asks for them; it hands on every change.
_PROTECTED = re.compile(
    r"/cluster/(?:status|backup-info/.+|ceph/.+|notifications/.+|metrics/export|acme/.+)|/access/(?:users|tfa)"
    r"|/nodes/[^/]+/(?:qemu|lxc|storage|services|replication|rrd|rrddata|syslog|journal|report|hosts|apt/update)"
    r"|/nodes/[^/]+/(?:qemu|lxc)/\d+/(?:status/current|snapshot|rrd|rrddata|feature|interfaces|migrate|agent/.+)"
    r"|/nodes/[^/]+/(?:storage|services|scan|ceph|disks)/.+|/nodes/[^/]+/tasks/[^/]+/(?:log|status)"
)

#: Makes another answer of an answer.
Bend = Callable[[Reply], Reply]


@dataclass(frozen=True)
class Ask:
    """One request as faults see it: which node's port took it, and which node has to do it."""

    answering: str
    executing: str
    method: str
    path: str

    @property
    def protected(self) -> bool:
        """Return whether pvedaemon has to do it, because it takes root."""
        return self.method not in {"GET", "HEAD"} or _PROTECTED.fullmatch(self.path) is not None


@dataclass
class Fault:
    """One fault: ``bend`` is done to answers of requests for which ``when`` holds; ``left`` times, None for ever."""

    bend: Bend
    when: Callable[[Ask], bool]
    left: int | None = None


@dataclass
class Faults:
    """The faults of one lab; safe to change from any thread while it answers."""

    _all: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *faults: Fault) -> None:
        """Let these faults happen from now on."""
        with self._lock:
            self._all += faults

    def clear(self) -> None:
        """Let no fault happen any more."""
        with self._lock:
            self._all.clear()

    def around(self, node: str, answer: Answer) -> Answer:
        """Return what answers on a node's port, faults and all."""

        def bent(request: Request) -> Reply:
            faults = self._take(_ask(node, request))
            # A no comes before the work is done, so that a refused order changes nothing.
            refused = next((fault for fault in faults if isinstance(fault.bend, Refuse)), None)
            reply = Reply(200, "OK", b"") if refused else answer(request)
            for fault in faults:
                reply = fault.bend(reply)
            return reply

        return bent

    def _take(self, ask: Ask) -> list[Fault]:
        with self._lock:
            found = [fault for fault in self._all if fault.left != 0 and fault.when(ask)]
            for fault in found:
                fault.left = None if fault.left is None else fault.left - 1
            return found


@dataclass(frozen=True)
class Refuse:
    """Answer with an error instead of doing what was asked; ``delay`` in seconds."""

    status: int
    reason: str
    delay: float = 0.0

    def __call__(self, reply: Reply) -> Reply:
        """Return the error, as late as the slowest of the faults."""
        answer = Refusal(self.status, self.reason).answer()
        body = b"" if answer is None else json.dumps(answer).encode()
        return Reply(self.status, self.reason, body, delay=reply.delay + self.delay)


@dataclass(frozen=True)
class Slow:
    """Answer late by ``seconds``."""

    seconds: float

    def __call__(self, reply: Reply) -> Reply:
        """Return the same, later."""
        return replace(reply, delay=reply.delay + self.seconds)


def packed(reply: Reply) -> Reply:
    """Return the answer gzip-encoded, whether or not the client said that it can read that."""
    headers = (*reply.headers, ("Content-Encoding", "gzip"))
    return replace(reply, body=gzip.compress(reply.body, mtime=0), headers=headers)


def half_json(reply: Reply) -> Reply:
    """Return an answer whose length is right and whose JSON ends in the middle."""
    return replace(reply, body=reply.body[: len(reply.body) // 2])


def cut(reply: Reply) -> Reply:
    """Return an answer in whose middle the connection is cut."""
    return replace(reply, withheld=max(1, len(reply.body) // 2))


def dead(reply: Reply) -> Reply:
    """Return no answer at all: the connection is cut."""
    return replace(reply, withheld=_EVERYTHING)


def on(path: str) -> Callable[[Ask], bool]:
    """Return the condition that a path, without the query, matches a pattern from its beginning to its end."""
    pattern = re.compile(path)
    return lambda ask: pattern.fullmatch(ask.path) is not None


def pvedaemon_stopped(node: str) -> list[Fault]:
    """Return the faults of a node whose pvedaemon is stopped: what needs root is refused, the rest still answered."""
    return [Fault(Refuse(595, "Connection refused"), lambda ask: ask.executing == node and ask.protected)]


def pveproxy_stopped(node: str) -> list[Fault]:
    """Return the faults of a node whose pveproxy is stopped: its own port is dead, its peers reach nothing of it."""
    return _lost(node, Refuse(595, "Connection refused"))


def port_swallowed(node: str, seconds: float = SWALLOWED) -> list[Fault]:
    """Return the faults of a node behind a firewall that drops its port: nobody says no, everybody waits."""
    late = Fault(Slow(seconds), lambda ask: ask.answering == node)
    return [late, *_lost(node, Refuse(595, "Connection timed out", seconds))]


def crashed(node: str, seconds: float = CRASHED) -> list[Fault]:
    """Return the faults of a node that has lost its power; let the state say so as well."""
    return _lost(node, Refuse(595, "No route to host", seconds))


def _lost(node: str, told: Refuse) -> list[Fault]:
    own = Fault(dead, lambda ask: ask.answering == node)
    return [own, Fault(told, lambda ask: ask.executing == node != ask.answering)]


def _ask(node: str, request: Request) -> Ask:
    path = _API.sub("", request.target.partition("?")[0], count=1)
    named = _NODE.match(f"{path}/")
    return Ask(node, named[1] if named else node, request.method, unquote(path))
