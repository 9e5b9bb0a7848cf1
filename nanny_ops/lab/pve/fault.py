"""Faults on the way between a client and a node: answers late, cut, packed or refused, whatever the state says.

A list of faults may grow and shrink while clients ask; each answer passes through those that fit it, in order. What is
wrong with a node itself, such as a daemon that is stopped, belongs to its state.
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

_API = re.compile(r"/api2/(?:json|extjs)")
_EVERYTHING = 1 << 62
#: Makes another answer of an answer.
Bend = Callable[[Reply], Reply]


@dataclass(frozen=True)
class Ask:
    """One request as faults see it: which node's port took it, and for which call."""

    answering: str
    method: str
    path: str


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


def at(node: str) -> Callable[[Ask], bool]:
    """Return the condition that a request came to a node's own port."""
    return lambda ask: ask.answering == node


def _ask(node: str, request: Request) -> Ask:
    path = _API.sub("", request.target.partition("?")[0], count=1)
    return Ask(node, request.method, unquote(path))
