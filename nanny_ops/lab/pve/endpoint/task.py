"""The calls about tasks, of one node and of all."""

import time
from typing import Any

from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Body, Call, Raw
from nanny_ops.lab.pve.state.task import Task

#: Seconds that an aborted task gets to end.
ABORT_PATIENCE = 5.0


def task_list(api: Api, call: Call) -> Any:
    """Answer with a page of a node's tasks, newest first; ``total`` is absent where nothing is found."""
    wanted = call.text("source", "archive")
    audits = call.caller.may(f"/nodes/{call.node}", "Sys.Audit")
    tasks = [task for task in api.tasks.of(call.node) if audits or task.belongs_to(call.caller.who)]
    running = [task for task in tasks if not task.exitstatus and wanted != "archive"]
    over = [task for task in tasks if task.exitstatus and wanted != "active"]
    found = [task.active_row() for task in _filtered(running, call)] + [task.row() for task in _filtered(over, call)]
    start = call.number("start", 0)
    page = found[start : start + call.number("limit", 50)]
    return Body(page, {"total": len(found)} if found else {})


def _filtered(tasks: list[Task], call: Call) -> list[Task]:
    asked = call.given
    kept = tasks
    if "vmid" in asked:
        kept = [task for task in kept if task.vmid == call.text("vmid")]
    if "typefilter" in asked:
        kept = [task for task in kept if task.kind == call.text("typefilter")]
    if "userfilter" in asked:
        kept = [task for task in kept if call.text("userfilter").lower() in task.user.lower()]
    if "since" in asked:
        kept = [task for task in kept if task.starttime >= call.number("since", 0)]
    if "until" in asked:
        kept = [task for task in kept if task.starttime <= call.number("until", 0)]
    if call.flag("errors"):
        kept = [task for task in kept if task.exitstatus != "OK"]  # tasks with warnings are told too
    if "statusfilter" in asked:
        kept = [task for task in kept if task.verdict() in call.text("statusfilter").replace(",", " ").split()]
    return kept


def cluster_tasks(api: Api, call: Call) -> Any:
    """Answer with the last tasks of all nodes that the token may see."""
    tasks = api.tasks.of_cluster(list(api.cluster.nodes))
    return [
        task.cluster_row()
        for task in tasks
        if task.belongs_to(call.caller.who) or call.caller.may(f"/nodes/{task.node}", "Sys.Audit")
    ]


def _task(api: Api, call: Call, privilege: str = "Sys.Audit") -> Task:
    task = api.tasks.find(call.node, call.text("upid"))
    if not task.belongs_to(call.caller.who):
        call.caller.need(f"/nodes/{call.node}", privilege)
    return task


def task_index(_api: Api, _call: Call) -> Any:
    """Answer with what there is below a task."""
    return [{"name": "status"}, {"name": "log"}]


def task_status(api: Api, call: Call) -> Any:
    """Answer with how a task stands."""
    return _task(api, call).status()


def task_log(api: Api, call: Call) -> Any:
    """Answer with a page of a task's log."""
    if call.flag("download"):
        text = "".join(f"{line}\n" for line in _task(api, call).log())
        task = api.tasks.find(call.node, call.text("upid"))
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(task.starttime))
        name = f"task-{task.node}-{task.kind}-{began}.log"
        return Raw(text.encode(), "text/plain", (("Content-Disposition", f'attachment; filename="{name}"'),))
    lines = [{"n": number, "t": text} for number, text in enumerate(_task(api, call).log(), 1)]
    start = call.number("start", 0)
    return Body(lines[start : start + call.number("limit", 50)], {"total": len(lines)})


def task_abort(api: Api, call: Call) -> None:
    """Abort a task and wait until it has noticed; one that is over stays as it is."""
    task = _task(api, call, "Sys.Modify")
    task.interrupted.set()
    task.ended.wait(ABORT_PATIENCE)


_TASK = "/nodes/{node}/tasks/{upid}"
ROUTES = (
    Route("GET", "/cluster/tasks", cluster_tasks),
    Route("GET", "/nodes/{node}/tasks", task_list),
    Route("GET", _TASK, task_index),
    Route("DELETE", _TASK, task_abort),
    Route("GET", f"{_TASK}/status", task_status),
    Route("GET", f"{_TASK}/log", task_log),
)
