"""The calls about the cluster, its nodes, their tasks, and what a token may do."""

from typing import Any

from nanny_ops.lab.pve import shape
from nanny_ops.lab.pve.access import Token
from nanny_ops.lab.pve.api import Api, Call
from nanny_ops.lab.pve.refusal import wrong_parameters
from nanny_ops.lab.pve.task import Task

RESOURCE_TYPES = ("vm", "storage", "node", "sdn")


def version(api: Api, _call: Call, _answering: str) -> Any:
    """Answer with the release."""
    return shape.version(api.cluster.release)


def cluster_status(api: Api, call: Call, answering: str) -> Any:
    """Answer with the cluster and its nodes as the answering one sees them."""
    call.token.need("/", "Sys.Audit")
    return api.shuffled(shape.cluster_status(api.cluster, answering))


def resources(api: Api, call: Call, _answering: str) -> Any:
    """Answer with what the token may see of guests, nodes, storages and networks."""
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


def listing(api: Api, call: Call, _answering: str) -> Any:
    """Answer with the nodes, without figures where the token may not see them."""
    may = {name: call.token.may(f"/nodes/{name}", "Sys.Audit") for name in api.cluster.nodes}
    return api.shuffled([shape.node_row(n, api.clock(), full=may[n.name]) for n in api.cluster.nodes.values()])


def status(api: Api, call: Call, _answering: str) -> Any:
    """Answer with the figures of one node."""
    call.token.need(f"/nodes/{call.node}", "Sys.Audit")
    return shape.node_status(api.cluster.nodes[call.node], api.cluster.release, api.clock())


def certificates(api: Api, call: Call, _answering: str) -> Any:
    """Answer with a node's certificates and that of its authority."""
    return api.certificates.get(call.node, [])


def task_list(api: Api, call: Call, _answering: str) -> Any:
    """Answer with a page of a node's tasks, newest first."""
    tasks = api.tasks.of(call.node)
    if not call.token.may(f"/nodes/{call.node}", "Sys.Audit"):
        tasks = [task for task in tasks if task.user == call.token.user]
    if "vmid" in call.parameters:
        tasks = [task for task in tasks if task.vmid == call.parameters["vmid"]]
    if call.number("errors", 0):
        tasks = [task for task in tasks if task.exitstatus not in {"", "OK"}]
    start = call.number("start", 0)
    return {"total": len(tasks), "data": [task.row() for task in tasks[start : start + call.number("limit", 50)]]}


def _task(api: Api, call: Call) -> Task:
    task = api.tasks.find(call.node, call.path["upid"])
    if task.user != call.token.user:
        call.token.need(f"/nodes/{call.node}", "Sys.Audit")
    return task


def task_status(api: Api, call: Call, _answering: str) -> Any:
    """Answer with how a task stands."""
    return _task(api, call).status()


def task_log(api: Api, call: Call, _answering: str) -> Any:
    """Answer with a page of a task's log."""
    lines = _task(api, call).log()
    start = call.number("start", 0)
    return {"total": len(lines), "data": lines[start : start + call.number("limit", 50)]}


def permissions(_api: Api, call: Call, _answering: str) -> Any:
    """Answer with what the token may do, by path."""
    path = call.parameters.get("path")
    if path is None:
        return call.token.listing()
    return {path: dict.fromkeys(sorted(call.token.privileges(path)), 1)}
