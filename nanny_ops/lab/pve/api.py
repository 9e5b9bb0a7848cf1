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

from nanny_ops.lab.pve import conf, shape
from nanny_ops.lab.pve.access import Token, authenticate
from nanny_ops.lab.pve.refusal import UNKNOWN_PROPERTY, Refusal, not_implemented, wrong_parameters
from nanny_ops.lab.pve.server import Reply, Request
from nanny_ops.lab.pve.state import WORD, Clock, Cluster, Guest, Kind
from nanny_ops.lab.pve.task import Tasks

PREFIX = "/api2/json"
RESOURCE_TYPES = ("vm", "storage", "node", "sdn")
#: Seconds that a guest gets to shut down unless the request says otherwise.
SHUTDOWN_TIMEOUT = 60


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
    clock: Clock = time.time
    #: Seconds before a 401 is sent; real Proxmox VE takes three.
    refusal_delay: float = 3.0
    certificates: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    #: Lists come in another order each time, as from Perl's hashes.
    random: random.Random = field(default_factory=lambda: random.Random(0))

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
        for route in ROUTES:
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
        self.random.shuffle(rows)
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


def _version(api: Api, _call: Call, _answering: str) -> Any:
    return shape.version(api.cluster.release)


def _cluster_status(api: Api, call: Call, answering: str) -> Any:
    call.token.need("/", "Sys.Audit")
    return api.shuffled(shape.cluster_status(api.cluster, answering))


def _resources(api: Api, call: Call, _answering: str) -> Any:
    kind = call.parameters.get("type", "")
    if kind and kind not in RESOURCE_TYPES:
        known = ", ".join(RESOURCE_TYPES)
        raise wrong_parameters({"type": f"value '{kind}' does not have a value in the enumeration '{known}'"})
    rows: list[dict[str, Any]] = []
    if kind in {"", "vm"}:
        rows += _guest_resources(api, call.token)
    for node in api.cluster.nodes.values():
        if kind in {"", "node"}:
            full = call.token.may(f"/nodes/{node.name}", "Sys.Audit")
            rows.append(shape.node_resource(node, api.clock(), full=full))
        if kind in {"", "storage"} and call.token.may("/storage/local", "Datastore.Audit"):
            rows.append(shape.storage_resource(node))
        if kind in {"", "sdn"} and call.token.may("/sdn/zones/localnetwork", "SDN.Audit"):
            rows.append(shape.network_resource(node, api.cluster.release))
    return api.shuffled(rows)


def _guest_resources(api: Api, token: Token) -> list[dict[str, Any]]:
    visible = [guest for guest in api.cluster.list_guests() if token.may(f"/vms/{guest.vmid}", "VM.Audit")]
    return [shape.guest_resource(guest, api.cluster.power.read(guest), api.cluster.release) for guest in visible]


def _nodes(api: Api, call: Call, _answering: str) -> Any:
    may = {name: call.token.may(f"/nodes/{name}", "Sys.Audit") for name in api.cluster.nodes}
    return api.shuffled([shape.node_row(n, api.clock(), full=may[n.name]) for n in api.cluster.nodes.values()])


def _node_status(api: Api, call: Call, _answering: str) -> Any:
    call.token.need(f"/nodes/{call.node}", "Sys.Audit")
    return shape.node_status(api.cluster.nodes[call.node], api.cluster.release, api.clock())


def _certificates(api: Api, call: Call, _answering: str) -> Any:
    return api.certificates.get(call.node, [])


def _guest_list(api: Api, call: Call, _answering: str) -> Any:
    cluster = api.cluster
    guests = cluster.list_guests(node=call.node, kind=call.kind)
    visible = [guest for guest in guests if call.token.may(f"/vms/{guest.vmid}", "VM.Audit")]
    return api.shuffled([shape.guest_row(g, cluster.power.read(g), cluster.release) for g in visible])


def _guest(api: Api, call: Call, privilege: str = "VM.Audit") -> Guest:
    call.token.need(f"/vms/{call.vmid}", privilege)
    return api.cluster.find(call.node, call.kind, call.vmid)


def _guest_config(api: Api, call: Call, _answering: str) -> Any:
    return conf.with_digest(_guest(api, call))


def _guest_current(api: Api, call: Call, _answering: str) -> Any:
    guest = _guest(api, call)
    return shape.guest_current(guest, api.cluster.power.read(guest), api.cluster.release)


def _start(api: Api, call: Call, _answering: str) -> Any:
    call.token.need(f"/vms/{call.vmid}", "VM.PowerMgmt")
    api.cluster.need_quorum()
    if call.kind == "lxc" and _runs(api, call):
        raise Refusal(500, f"CT {call.vmid} already running")
    return _begin(api, call, "start", lambda: _do_start(api, call))


def _do_start(api: Api, call: Call) -> None:
    guest = api.cluster.find(call.node, call.kind, call.vmid)
    if guest.template:
        raise Refusal(500, f"you can't start a {'CT' if guest.kind == 'lxc' else 'vm'} if it's a template")
    if guest.lock:
        raise Refusal(500, f"{WORD[guest.kind]} is locked ({guest.lock})")
    if api.cluster.power.read(guest).running:
        raise Refusal(500, f"{WORD[guest.kind]} {guest.vmid} already running")
    api.cluster.power.start(guest)


def _stop(api: Api, call: Call, _answering: str) -> Any:
    _need_running(api, call)
    return _begin(api, call, "stop", lambda: api.cluster.power.stop(_unlocked(api, call)))


def _shutdown(api: Api, call: Call, _answering: str) -> Any:
    _need_running(api, call)
    timeout = call.number("timeout", SHUTDOWN_TIMEOUT)
    return _begin(api, call, "shutdown", lambda: _do_shutdown(api, call, timeout))


def _do_shutdown(api: Api, call: Call, timeout: int) -> None:
    guest = _unlocked(api, call)
    if api.cluster.power.shutdown(guest, timeout):
        return
    if call.parameters.get("forceStop") != "1":
        raise Refusal(
            500, "VM quit/powerdown failed - got timeout" if guest.kind == "qemu" else "container did not stop"
        )
    api.cluster.power.stop(guest)


def _need_running(api: Api, call: Call) -> None:
    call.token.need(f"/vms/{call.vmid}", "VM.PowerMgmt")
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


def _begin(api: Api, call: Call, verb: str, work: Callable[[], None]) -> str:
    kind = ("vz" if call.kind == "lxc" else "qm") + verb
    return api.tasks.begin(call.node, kind, call.vmid, call.token, work)


def _task_list(api: Api, call: Call, _answering: str) -> Any:
    tasks = api.tasks.of(call.node)
    if not call.token.may(f"/nodes/{call.node}", "Sys.Audit"):
        tasks = [task for task in tasks if task.user == call.token.user]
    if "vmid" in call.parameters:
        tasks = [task for task in tasks if task.vmid == call.parameters["vmid"]]
    if call.number("errors", 0):
        tasks = [task for task in tasks if task.exitstatus not in {"", "OK"}]
    start = call.number("start", 0)
    return {"total": len(tasks), "data": [task.row() for task in tasks[start : start + call.number("limit", 50)]]}


def _task(api: Api, call: Call) -> Any:
    task = api.tasks.find(call.node, call.path["upid"])
    if task.user != call.token.user:
        call.token.need(f"/nodes/{call.node}", "Sys.Audit")
    return task


def _task_status(api: Api, call: Call, _answering: str) -> Any:
    return _task(api, call).status()


def _task_log(api: Api, call: Call, _answering: str) -> Any:
    lines = _task(api, call).log()
    start = call.number("start", 0)
    return {"total": len(lines), "data": lines[start : start + call.number("limit", 50)]}


def _permissions(_api: Api, call: Call, _answering: str) -> Any:
    path = call.parameters.get("path")
    if path is None:
        return call.token.listing()
    return {path: dict.fromkeys(sorted(call.token.privileges(path)), 1)}


_NODE = r"/nodes/(?P<node>[^/]+)"
_KIND = _NODE + r"/(?P<kind>lxc|qemu)"
_GUEST = _KIND + r"/(?P<vmid>[^/]+)"
_TASK = _NODE + r"/tasks/(?P<upid>[^/]+)"
ROUTES = (
    Route("GET", "/version", _version),
    Route("GET", "/cluster/status", _cluster_status),
    Route("GET", "/cluster/resources", _resources, ("type",)),
    Route("GET", "/access/permissions", _permissions, ("path", "userid")),
    Route("GET", "/nodes", _nodes),
    Route("GET", _NODE + "/status", _node_status),
    Route("GET", _NODE + "/version", _version),
    Route("GET", _NODE + "/certificates/info", _certificates),
    Route("GET", _KIND, _guest_list, ("full",)),
    Route("GET", _GUEST + "/config", _guest_config, ("current", "snapshot")),
    Route("GET", _GUEST + "/status/current", _guest_current),
    Route("POST", _GUEST + "/status/start", _start, ("skiplock", "timeout")),
    Route("POST", _GUEST + "/status/stop", _stop, ("skiplock", "timeout", "overrule-shutdown")),
    Route("POST", _GUEST + "/status/shutdown", _shutdown, ("timeout", "forceStop")),
    Route("GET", _NODE + "/tasks", _task_list, ("limit", "start", "vmid", "errors"), whole=True),
    Route("GET", _TASK + "/status", _task_status),
    Route("GET", _TASK + "/log", _task_log, ("limit", "start"), whole=True),
)
