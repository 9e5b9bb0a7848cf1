"""The calls about what was logged: by a node's journal, and by the cluster."""

import gzip
import json
from typing import Any

from nanny_ops.lab.pve.api import Api, Route, Row
from nanny_ops.lab.pve.call import Body, Call, Raw
from nanny_ops.lab.pve.state.task import Task

#: What the services of a node say, over and over.
_SAID = (
    ("systemd[1]", "Started {unit}."),
    ("pvedaemon[1042]", "starting server"),
    ("pvedaemon[1042]", "starting {n} worker(s)"),
    ("pvedaemon[1043]", "worker {n} started"),
    ("pvedaemon[1042]", "successful auth for user 'root@pam'"),
    ("pveproxy[1051]", "worker {n} started"),
    ("pvestatd[998]", "status update time ({n}.021 seconds)"),
    ("pvescheduler[1101]", "starting server"),
    ("cron[612]", "(root) CMD (command -v debian-sa1 > /dev/null && debian-sa1 1 1)"),
)
#: Lines that a node's journal holds.
LINES = 1600


def _line(node: str, number: int, *, service: str = "") -> str:
    said = [pair for pair in _SAID if pair[0].startswith(service)] or [(f"{service}[1]", "started")]
    who, text = said[number % len(said)]
    minute, second = divmod(number, 60)
    filled = text.format(unit=f"unit-{number % 40}.service", n=number % 9)
    return f"Nov 21 {20 + minute // 60:02}:{minute % 60:02}:{second:02} {node} {who}: {filled}"


def syslog(_api: Api, call: Call) -> Any:
    """Answer with a page of a node's journal, or of what one service said."""
    service, start, limit = call.text("service"), call.number("start"), call.number("limit", 50)
    total = LINES // 25 if service else LINES
    numbers = range(start, min(total, start + limit))
    return Body([{"n": n + 1, "t": _line(call.node, n, service=service)} for n in numbers], {"total": total})


def journal(_api: Api, call: Call) -> Any:
    """Answer with the last lines of a node's journal, always packed, between two cursors."""
    count = call.number("lastentries", 100)
    lines = [_line(call.node, number) for number in range(max(0, LINES - count), LINES)]
    whole = json.dumps({"data": ["s=lab;i=1", *lines, "s=lab;i=2"], "success": 1})
    return Raw(gzip.compress(whole.encode(), mtime=0), "application/json", (("Content-Encoding", "gzip"),))


def cluster_log(api: Api, call: Call) -> Any:
    """Answer with what the cluster logged of tasks, newest first; of others' only with Sys.Syslog at the top."""
    sees_all = call.caller.may("/", "Sys.Syslog")
    tasks = [task for node in api.cluster.nodes for task in api.tasks.of(node)]
    rows = [row for task in tasks if sees_all or task.user == call.caller.user for row in _entries(task)]
    rows += [row for node in api.cluster.nodes.values() for row in _booted(node.name, int(node.booted)) if sees_all]
    rows.sort(key=lambda row: -row["time"])
    numbered = [row | {"uid": str(n), "id": f"{n}:{row['node']}"} for n, row in enumerate(rows, 1)]
    return numbered[: call.number("max") or None]


def _entries(task: Task) -> list[Row]:
    common = {"node": task.node, "pid": task.pid, "user": task.owner, "tag": "pvedaemon"}
    rows: list[Row] = [common | {"pri": 6, "time": task.starttime, "msg": f"starting task {task.upid}"}]
    if task.exitstatus:
        priority = 6 if task.verdict() != "error" else 3
        rows.append(common | {"pri": priority, "time": task.endtime, "msg": f"end task {task.upid} {task.exitstatus}"})
    return rows


def _booted(node: str, at: int) -> list[Row]:
    common = {"node": node, "pid": 1200, "user": "root@pam", "tag": "pve-guests", "pri": 6, "time": at}
    upid = f"UPID:{node}:000004B0:00000A00:{at:08X}:startall::root@pam:"
    return [common | {"msg": f"starting task {upid}"}, common | {"msg": f"end task {upid} OK"}]


ROUTES = (
    Route("GET", "/nodes/{node}/syslog", syslog),
    Route("GET", "/nodes/{node}/journal", journal),
    Route("GET", "/cluster/log", cluster_log),
)
