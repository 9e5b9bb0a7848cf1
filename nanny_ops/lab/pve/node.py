"""The calls about the cluster, its nodes, their tasks, and what a token may do."""

from typing import Any

from nanny_ops.lab.pve import shape
from nanny_ops.lab.pve.access import Token
from nanny_ops.lab.pve.api import Api, Call
from nanny_ops.lab.pve.refusal import wrong_parameters
from nanny_ops.lab.pve.task import Task

RESOURCE_TYPES = ("vm", "storage", "node", "sdn")
#: Seconds that an aborted task gets to end.
ABORT_PATIENCE = 5.0


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
    """Answer with a page of a node's tasks, newest first; ``total`` is absent where nothing is found."""
    wanted = call.parameters.get("source", "archive")
    audits = call.token.may(f"/nodes/{call.node}", "Sys.Audit")
    tasks = [task for task in api.tasks.of(call.node) if audits or task.belongs_to(call.token.token_id)]
    running = [task for task in tasks if not task.exitstatus and wanted != "archive"]
    over = [task for task in tasks if task.exitstatus and wanted != "active"]
    found = [task.active_row() for task in _filtered(running, call)] + [task.row() for task in _filtered(over, call)]
    start = call.number("start", 0)
    page = found[start : start + call.number("limit", 50)]
    return {"data": page} | ({"total": len(found)} if found else {})


def _filtered(tasks: list[Task], call: Call) -> list[Task]:
    asked = call.parameters
    kept = tasks
    if "vmid" in asked:
        kept = [task for task in kept if task.vmid == asked["vmid"]]
    if "typefilter" in asked:
        kept = [task for task in kept if task.kind == asked["typefilter"]]
    if "userfilter" in asked:
        kept = [task for task in kept if asked["userfilter"].lower() in task.user.lower()]
    if "since" in asked:
        kept = [task for task in kept if task.starttime >= call.number("since", 0)]
    if "until" in asked:
        kept = [task for task in kept if task.starttime <= call.number("until", 0)]
    if asked.get("errors", "0") != "0":
        kept = [task for task in kept if task.exitstatus != "OK"]  # tasks with warnings are told too
    if "statusfilter" in asked:
        kept = [task for task in kept if task.verdict() in asked["statusfilter"].replace(",", " ").split()]
    return kept


def cluster_tasks(api: Api, call: Call, _answering: str) -> Any:
    """Answer with the last tasks of all nodes that the token may see."""
    tasks = api.tasks.of_cluster(list(api.cluster.nodes))
    return [
        task.cluster_row()
        for task in tasks
        if task.belongs_to(call.token.token_id) or call.token.may(f"/nodes/{task.node}", "Sys.Audit")
    ]


def _task(api: Api, call: Call, privilege: str = "Sys.Audit") -> Task:
    task = api.tasks.find(call.node, call.path["upid"])
    if not task.belongs_to(call.token.token_id):
        call.token.need(f"/nodes/{call.node}", privilege)
    return task


def task_index(_api: Api, _call: Call, _answering: str) -> Any:
    """Answer with what there is below a task."""
    return [{"name": "status"}, {"name": "log"}]


def task_status(api: Api, call: Call, _answering: str) -> Any:
    """Answer with how a task stands."""
    return _task(api, call).status()


def task_log(api: Api, call: Call, _answering: str) -> Any:
    """Answer with a page of a task's log."""
    lines = [{"n": number, "t": text} for number, text in enumerate(_task(api, call).log(), 1)]
    start = call.number("start", 0)
    return {"total": len(lines), "data": lines[start : start + call.number("limit", 50)]}


def task_abort(api: Api, call: Call, _answering: str) -> None:
    """Abort a task and wait until it has noticed; one that is over stays as it is."""
    task = _task(api, call, "Sys.Modify")
    task.interrupted.set()
    task.ended.wait(ABORT_PATIENCE)


def permissions(_api: Api, call: Call, _answering: str) -> Any:
    """Answer with what the token may do, by path."""
    path = call.parameters.get("path")
    if path is None:
        return call.token.listing()
    return {path: dict.fromkeys(sorted(call.token.privileges(path)), 1)}
