"""Scenes: tasks that went before, each of them really carried out by the lab."""

import json
import re
import threading
import time
from urllib.parse import quote

from nanny_ops.lab.pve.server import Request
from nanny_ops.lab.pve.state.task import Hurried, Lifelike, Task
from tests.integration.conformance.rig import NOW, SECRET, Rig
from tests.integration.conformance.scenes import Asked, Scenes

SCENES = Scenes()
ROOT, TOKEN = "root@pam", "root@pam!rig"
#: What a person did before: recorded node, path below it with the recorded guest.
BEFORE = (
    ("pve1", "lxc/{}/snapshot?snapname=aa", 101),
    ("pve1", "lxc/{}/snapshot?snapname=bb", 106),
    ("pve1", "lxc/{}/status/start", 103),
    ("pve1", "lxc/{}/status/start", 105),
    ("pve1", "lxc/{}/status/stop", 103),
    ("pve1", "lxc/{}/status/stop", 101),
    ("pve1", "lxc/{}/status/start", 101),
    ("pve1", "vzdump?vmid={}&mode=stop", 103),
    ("pve1", "lxc/{}/snapshot?snapname=cc", 101),
    ("pve1", "lxc/{}/status/reboot", 101),
    ("pve2", "lxc/{}/status/stop", 104),
    ("pve2", "lxc/{}/status/start", 104),
)


def post(rig: Rig, who: str, path: str) -> str:
    """Begin a task as a person or as a token and return its UPID."""
    heads = {"authorization": f"PVEAPIToken={who}={SECRET}"}
    if "!" not in who:
        ticket = quote(rig.api.login.ticket(who, NOW), safe="")
        heads = {"cookie": f"PVEAuthCookie={ticket}", "csrfpreventiontoken": rig.api.login.csrf_token(who, NOW)}
    answering = next(iter(rig.cluster.nodes))
    reply = rig.api.answer(answering, Request("POST", f"/api2/json{path}", heads, b""))
    assert reply.status == 200, (path, reply.reason)
    return str(json.loads(reply.body)["data"])


def _did(rig: Rig, who: str) -> None:
    for node, path, vmid in BEFORE:
        if rig.release == "8.4" or node == "pve1":
            recorded = node if rig.release == "8.4" else "pve3"
            post(rig, who, f"/nodes/{rig.node(recorded).name}/{path.format(rig.guest(vmid).vmid)}")


@SCENES.of("get_nodes__pve?__tasks*", "get_cluster__tasks", "*_get_cluster_tasks")
def a_person_did_this_and_that(rig: Rig, asked: Asked) -> None:
    # The recorded ``since`` is the recorded installation's, which was later on 9.2.
    rig.api.tasks.clock = lambda: NOW + 600
    _did(rig, ROOT)


@SCENES.of("get_storage_content--backup*")
def a_backup_was_made(rig: Rig, asked: Asked) -> None:
    where = rig.node("pve1").name
    notes = "&storage=local&notes-template=%7B%7Bguestname%7D%7D"
    post(rig, TOKEN, f"/nodes/{where}/vzdump?vmid={rig.guest(103).vmid}&mode=stop&compress=zstd{notes}")


@SCENES.of("*_get_cluster_tasks")
def and_a_token_too(rig: Rig, asked: Asked) -> None:
    _did(rig, TOKEN)


def _backup(rig: Rig, asked: Asked) -> Task:
    """Begin the backup that the recorded UPID names, and ask for ours in its place."""
    node = rig.node("pve1").name
    upid = post(rig, TOKEN, f"/nodes/{node}/vzdump?vmid={rig.guest(101).vmid}&mode=suspend&compress=gzip")
    asked.target = re.sub(r"UPID:[^/?]+", quote(upid, safe=":@!"), asked.target)
    return rig.api.tasks.find(node, upid)


@SCENES.of("delete_task--as_auditor", "delete_task--finished", "get_task_status--as_nopriv", "get_task_status--via_*")
def a_backup_has_ended(rig: Rig, asked: Asked) -> None:
    _backup(rig, asked)


def _running_backup(rig: Rig, asked: Asked) -> Task:
    rig.api.tasks.pace = Lifelike()
    rig.api.tasks.conduct = lambda work: threading.Thread(target=work, daemon=True).start()
    task = _backup(rig, asked)
    deadline = time.monotonic() + 10
    while not any("first sync" in line for line in task.log()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return task


@SCENES.of("get_task_status--running", "get_task_log--running", "get_tasks--active_running", "delete_task--abort")
def a_backup_goes_on(rig: Rig, asked: Asked) -> None:
    _running_backup(rig, asked)


@SCENES.of(
    *("get_task_status--aborted", "get_task_status--as_auditor"),
    *("get_task_log--*ed", "get_task_log--past_end", "get_task_log--download"),
)
def a_backup_was_aborted(rig: Rig, asked: Asked) -> None:
    task = _running_backup(rig, asked)
    task.interrupted.set()
    assert task.ended.wait(10)
    rig.api.tasks.pace = Hurried()
