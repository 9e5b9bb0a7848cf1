"""The calls about the services of a node."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Handler, Route, Row
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.state import software
from nanny_ops.lab.pve.state.node import Node
from nanny_ops.lab.pve.state.software import Service
from nanny_ops.lab.pve.state.task import Worker

#: What is done to a service -> the task's kind.
VERBS = {"start": "srvstart", "stop": "srvstop", "restart": "srvrestart", "reload": "srvreload"}


def listing(api: Api, call: Call) -> Any:
    """Answer with the services of a node."""
    node = api.cluster.nodes[call.node]
    return api.shuffled([_row(service, node) for service in software.services(api.cluster.release)])


def _row(service: Service, node: Node) -> Row:
    stopped = service.name in node.stopped
    return {
        "service": service.name,
        "name": service.name,
        "desc": service.description,
        "active-state": "inactive" if stopped else service.active,
        "state": "dead" if stopped else service.state,
        "unit-state": service.unit,
    }


def index(_api: Api, _call: Call) -> Any:
    """Answer with what there is below a service."""
    return [{"subdir": name} for name in ("state", *VERBS)]


def state(api: Api, call: Call) -> Any:
    """Answer with how a service stands."""
    known = {service.name: service for service in software.services(api.cluster.release)}
    return _row(known[call.text("service")], api.cluster.nodes[call.node])


def _changing(verb: str) -> Handler:
    def change(api: Api, call: Call) -> Any:
        """Begin a task that starts, stops, restarts or reloads a service."""
        node, name = api.cluster.nodes[call.node], call.text("service")

        def work(_worker: Worker) -> None:
            if verb == "stop":
                node.stopped.add(name)
            else:
                node.stopped.discard(name)

        return api.tasks.begin(call.node, VERBS[verb], name, call.caller.who, work)

    return change


_SERVICE = "/nodes/{node}/services/{service}"
ROUTES = (
    Route("GET", "/nodes/{node}/services", listing),
    Route("GET", _SERVICE, index),
    Route("GET", f"{_SERVICE}/state", state),
    *(Route("POST", f"{_SERVICE}/{verb}", _changing(verb)) for verb in VERBS),
)
