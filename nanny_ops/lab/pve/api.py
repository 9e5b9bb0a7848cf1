"""The calls of Proxmox VE's HTTP API that the lab answers: parse, authorise, ask the state, shape."""

import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from nanny_ops.lab.pve.access import Token, authenticate
from nanny_ops.lab.pve.refusal import UNKNOWN_PROPERTY, Refusal, not_implemented, wrong_parameters
from nanny_ops.lab.pve.server import Reply, Request
from nanny_ops.lab.pve.state import Clock, Cluster, Kind
from nanny_ops.lab.pve.task import Tasks

PREFIX = "/api2/json"


@dataclass(frozen=True)
class Call:
    """One understood call: who asks, on which path, with which parameters."""

    token: Token
    path: dict[str, str]
    parameters: dict[str, str]

    @property
    def node(self) -> str:
        """Return the node in the path."""
        return self.path["node"]

    @property
    def kind(self) -> Kind:
        """Return the kind of guest in the path."""
        return "lxc" if self.path["kind"] == "lxc" else "qemu"

    @property
    def vmid(self) -> int:
        """Return the guest in the path. Raises Refusal."""
        if not self.path["vmid"].isdigit():
            raise wrong_parameters({"vmid": f"type check ('integer') failed - got '{self.path['vmid']}'"})
        return int(self.path["vmid"])

    def number(self, name: str, default: int) -> int:
        """Return a whole-number parameter. Raises Refusal."""
        text = self.parameters.get(name, str(default))
        if not re.fullmatch(r"-?\d+", text):
            raise wrong_parameters({name: f"type check ('integer') failed - got '{text}'"})
        return int(text)


@dataclass
class Api:
    """The API of one cluster; :meth:`node` gives the view of the node that answers."""

    cluster: Cluster
    tokens: list[Token]
    tasks: Tasks
    routes: "tuple[Route, ...]"
    clock: Clock = time.time
    #: Seconds before a 401 is sent; real Proxmox VE takes three.
    refusal_delay: float = 3.0
    certificates: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    #: Lists come in another order each time, as from Perl's hashes.
    dice: random.Random = field(default_factory=lambda: random.Random(0))

    def node(self, name: str) -> Callable[[Request], Reply]:
        """Return the function that answers on a node's port."""
        return partial(self.answer, name)

    def answer(self, answering: str, request: Request) -> Reply:
        """Answer one request as the node ``answering`` does."""
        try:
            data = self._dispatch(answering, request)
        except Refusal as refusal:
            delay = self.refusal_delay if refusal.delay else 0.0
            body = b"" if request.method == "HEAD" else refusal.body()
            return Reply(refusal.status, refusal.text, body, delay=delay)
        return Reply(200, "OK", json.dumps(data).encode())

    def _dispatch(self, answering: str, request: Request) -> dict[str, Any]:
        split = urlsplit(request.target)
        if request.method not in {"GET", "POST", "PUT", "DELETE"}:
            raise Refusal(501, f"method '{request.method}' not available")
        if not split.path.startswith(PREFIX):
            raise Refusal(501, f"no such file '{split.path}'")
        token = authenticate(self.tokens, request.headers.get("authorization"))
        path = unquote(split.path[len(PREFIX) :]).rstrip("/") or "/"
        for route in self.routes:
            if route.method == request.method and (match := re.fullmatch(route.pattern, path)):
                parameters = _parameters(split.query, request)
                self._check(route, match.groupdict(), parameters)
                found = Call(token, match.groupdict(), parameters)
                answer = route.function(self, found, answering)
                return answer if route.whole else {"data": answer}
        raise not_implemented(request.method, path)

    def _check(self, route: "Route", path: dict[str, str], parameters: dict[str, str]) -> None:
        unknown = {name: UNKNOWN_PROPERTY for name in parameters if name not in route.parameters}
        if unknown:
            raise wrong_parameters(unknown)
        if (name := path.get("node")) is None:
            return
        node = self.cluster.nodes.get(name)
        if node is None:
            raise Refusal(
                500,
                f"hostname lookup '{name}' failed - failed to get address info for: {name}: "
                "Temporary failure in name resolution",
            )
        if not node.online:
            raise Refusal(595, "No route to host")

    def shuffled(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the rows in a random order."""
        self.dice.shuffle(rows)
        return rows


@dataclass(frozen=True)
class Route:
    """One call: its function takes the API, the call, and the name of the node that answers."""

    method: str
    pattern: str
    function: Callable[[Api, Call, str], Any]
    parameters: tuple[str, ...] = ()
    #: The function returns the whole body, not only its ``data``.
    whole: bool = False


def _parameters(query: str, request: Request) -> dict[str, str]:
    found = dict(parse_qsl(query, keep_blank_values=True))
    if not request.body:
        return found
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind == "application/json":
        try:
            body = json.loads(request.body)
        except ValueError as wrong:
            raise Refusal(500, "malformed JSON string, neither tag, array, object, number, string or atom") from wrong
        return found | {str(key): str(value) for key, value in dict(body).items()}
    if kind in {"application/x-www-form-urlencoded", ""}:
        return found | dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    raise Refusal(506, f"upload 'Content-Type '{kind}' not implemented")
