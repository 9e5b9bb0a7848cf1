"""The calls of Proxmox VE's HTTP API: who asks, is there such a call, may they, whose node, what does it answer."""

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from nanny_ops.lab.pve import arrival
from nanny_ops.lab.pve.call import Body, Call, Raw
from nanny_ops.lab.pve.login import Login
from nanny_ops.lab.pve.refusal import Refusal, Unreadable, not_implemented
from nanny_ops.lab.pve.schema import permission
from nanny_ops.lab.pve.schema.parameter import Value, verify
from nanny_ops.lab.pve.schema.table import Described, table
from nanny_ops.lab.pve.server import Reply, Request
from nanny_ops.lab.pve.state.access import Access, Caller
from nanny_ops.lab.pve.state.clock import Clock
from nanny_ops.lab.pve.state.cluster import Cluster
from nanny_ops.lab.pve.state.guest_agent import Programs
from nanny_ops.lab.pve.state.task import Tasks

JSON, EXTJS = "/api2/json", "/api2/extjs"
METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})
#: What the rows of a directory of the API call their child.
INDEX_KEYS = frozenset({"id", "method", "name", "subdir"})
#: Calls that anyone may make.
WORLD = {"user": "world"}

Row = dict[str, Any]


@dataclass
class Api:
    """The API of one installation; :meth:`node` gives the view of the node that answers."""

    cluster: Cluster
    access: Access
    tasks: Tasks
    routes: "Mapping[str, Handler]"
    clock: Clock = time.time
    #: Seconds before a 401 is sent; real Proxmox VE takes three.
    refusal_delay: float = 3.0
    #: Part of the real seconds that an unreachable node takes to be found so.
    patience: float = 1.0
    certificates: dict[str, list[Row]] = field(default_factory=dict)
    #: What runs in virtual machines.
    programs: Programs = field(default_factory=Programs)
    #: Lists come in another order each time, as from Perl's hashes.
    dice: random.Random = field(default_factory=lambda: random.Random(0))

    def __post_init__(self) -> None:
        """Read the release's calls."""
        self.table = table(self.cluster.release)
        self.login = Login(self.access)
        #: Held by who reads and changes state in several steps.
        self.lock = threading.RLock()

    def node(self, name: str) -> Callable[[Request], Reply]:
        """Return the function that answers on a node's port."""
        return partial(self.answer, name)

    def answer(self, answering: str, request: Request) -> Reply:
        """Answer one request as the node ``answering`` does."""
        extjs = request.target.startswith(EXTJS)
        try:
            answer = self._dispatch(answering, request)
        except Unreadable as wrong:
            return Reply(wrong.status, wrong.text, wrong.body.encode(), content_type="")
        except Refusal as refusal:
            return self._refuse(request, refusal, extjs=extjs)
        if isinstance(answer, Raw):
            return Reply(200, "OK", answer.content, answer.content_type, headers=answer.headers)
        body = answer if isinstance(answer, Body) else Body(answer)
        found = {"data": body.data, **body.beside} | ({"success": 1} if extjs else {})
        return Reply(200, "OK", json.dumps(found).encode())

    def _refuse(self, request: Request, refusal: Refusal, *, extjs: bool) -> Reply:
        delay = self.refusal_delay if refusal.delay is True else float(refusal.delay) * self.patience
        answer = None if request.method not in METHODS else refusal.answer()
        if extjs and answer is not None:
            status: int | str = refusal.status if refusal.errors is None else str(refusal.status)
            whole = answer | {"success": 0, "status": status}
            return Reply(200, "OK", json.dumps(whole).encode(), delay=delay)
        return Reply(refusal.status, refusal.text, b"" if answer is None else json.dumps(answer).encode(), delay=delay)

    def _dispatch(self, answering: str, request: Request) -> Any:
        split = urlsplit(request.target)
        if request.method not in METHODS:
            raise Refusal(501, f"method '{request.method}' not available")
        path = _within(split.path)
        found = self.table.find(request.method, path)
        world = found is not None and found.described.permission == WORLD
        who = "" if world else self.login.identify(request.method, request.headers, self.clock())
        kind = request.headers.get("content-type", "")
        given = arrival.parameters(split.query, kind, request.body, self.cluster.release)
        if found is None:
            raise not_implemented(request.method, path)
        return self._carry_out(answering, found.described, who, {**given, **found.parts})

    def _carry_out(self, answering: str, described: Described, who: str, given: dict[str, Value]) -> Any:
        caller = Caller(self.access, who, self.cluster.pool_of())
        permission.check(described.permission, caller, given)
        self._reach(answering, described, str(given.get(described.proxyto, answering)))
        accepted = verify(described.parameters, given, self.access.known_privileges)
        function = self.routes.get(f"{described.method} {described.path}") or self._index(described)
        return function(self, Call(described, caller, accepted, answering, self.clock()))

    def _reach(self, answering: str, described: Described, name: str) -> None:
        """Raise Refusal unless the node that does the work can be reached by the one that answers."""
        name = answering if name == "localhost" else name
        node = self.cluster.nodes.get(name)
        if node is None:
            raise Refusal(
                500,
                f"hostname lookup '{name}' failed - failed to get address info for: {name}: "
                "Temporary failure in name resolution",
            )
        why, seconds = node.trouble() if name != answering else ("", 0.0)
        if not why and described.protected and "pvedaemon" in node.stopped:
            why = "Connection refused"
        if why:
            raise Refusal(595, why, delay=seconds)

    def _index(self, described: Described) -> "Handler":
        """Return what answers a directory of the API with its children. Raises Refusal 501 where there is no call."""
        children = self.table.children(described.path)
        if described.method != "GET" or described.link not in INDEX_KEYS or not children:
            raise not_implemented(described.method, described.path)
        return lambda _api, _call: [{described.link: child} for child in children]

    def shuffled(self, rows: list[Row]) -> list[Row]:
        """Return the rows in a random order."""
        self.dice.shuffle(rows)
        return rows


#: Answers one call with its ``data``, a Body or a Raw. Raises Refusal.
Handler = Callable[[Api, Call], Any]


@dataclass(frozen=True)
class Route:
    """One call that the lab answers; ``path`` as the schema writes it."""

    method: str
    path: str
    function: Handler

    @property
    def name(self) -> str:
        """Return ``METHOD /path``."""
        return f"{self.method} {self.path}"


def _within(path: str) -> str:
    """Return the path below the API's prefix. Raises Unreadable outside of it."""
    for prefix in (JSON, EXTJS):
        if path == prefix or path.startswith(prefix + "/"):
            return unquote(path[len(prefix) :]).rstrip("/") or "/"
    text = f"no such file '{path}'"
    if path == "/":
        text = "file error - /usr/share/pve-manager/index.html.tpl: not found"
    raise Unreadable(500, text, text + "\n")
