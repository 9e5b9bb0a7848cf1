"""Tasks behind their UPIDs."""

import threading
from collections.abc import Iterator

import pytest

from nanny_ops.errors import MachineError
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.task import KEPT_BY_CLUSTER, Hurried, Lifelike, Task, Tasks, Work, Worker

OWNER = "root@pam!rig"


@pytest.fixture
def tasks() -> Iterator[Tasks]:
    made = Tasks(lambda: 0x6B020A25, Hurried())
    yield made
    made.close()


def ended(task: Task) -> Task:
    assert task.ended.wait(10)
    return task


def run(tasks: Tasks, work: Work) -> Task:
    return ended(tasks.find("pve1", tasks.begin("pve1", "vzstart", 103, OWNER, work)))


def _await(event: threading.Event) -> None:
    assert event.wait(10)


@pytest.mark.rows("PVE-17")
def test_a_task_runs_until_its_work_is_done(tasks: Tasks) -> None:
    may_end = threading.Event()
    upid = tasks.begin("pve1", "vzstart", 103, OWNER, lambda _worker: _await(may_end))
    task = tasks.find("pve1", upid)
    assert task.status()["status"] == "running"
    assert "exitstatus" not in task.status()
    assert task.log() == ["no content"]
    assert (task.active_row()["status"], task.active_row()["user"]) == ("RUNNING", OWNER)
    assert task.cluster_row()["saved"] == "0"
    may_end.set()
    assert ended(task).status()["exitstatus"] == "OK"
    assert (task.row()["status"], task.row()["user"], task.row()["tokenid"]) == ("OK", "root@pam", "rig")
    assert task.log() == ["TASK OK"]


@pytest.mark.rows("PVE-19")
def test_the_upid_names_node_kind_guest_and_token(tasks: Tasks) -> None:
    parts = tasks.begin("pve1", "vzstart", 103, OWNER, lambda _worker: None).split(":")
    assert (parts[0], parts[1], *parts[4:]) == ("UPID", "pve1", "6B020A25", "vzstart", "103", OWNER, "")
    assert [len(part) for part in parts[2:4]] == [8, 8]


@pytest.mark.rows("PVE-17")
@pytest.mark.parametrize(
    ("error", "text"),
    [(Refusal(500, "CT is locked (backup)"), "CT is locked (backup)"), (MachineError("no start"), "no start")],
)
def test_a_failure_is_the_exit_status(tasks: Tasks, error: Exception, text: str) -> None:
    def fail(_worker: Worker) -> None:
        raise error

    task = run(tasks, fail)
    assert (task.exitstatus, task.verdict(), task.log()) == (text, "error", [f"TASK ERROR: {text}"])


@pytest.mark.rows("PVE-18")
def test_warnings_are_counted(tasks: Tasks) -> None:
    task = run(tasks, lambda worker: worker.warn("Systemd 252 detected. You may need to enable nesting."))
    assert (task.exitstatus, task.verdict()) == ("WARNINGS: 1", "warning")
    assert task.log() == ["WARN: Systemd 252 detected. You may need to enable nesting.", "TASK WARNINGS: 1"]


@pytest.mark.rows("PVE-19")
def test_an_aborted_task_ends_early() -> None:
    tasks = Tasks(lambda: 1.0, Lifelike())
    try:
        task = tasks.find("pve1", tasks.begin("pve1", "vzdump", 1, OWNER, lambda worker: worker.take(3600)))
        task.interrupted.set()
        assert ended(task).exitstatus == "received interrupt"
    finally:
        tasks.close()


def test_a_person_owns_the_tasks_of_their_tokens_and_a_token_only_its_own(tasks: Tasks) -> None:
    task = run(tasks, lambda _worker: None)
    assert task.belongs_to(OWNER)
    assert task.belongs_to("root@pam")
    assert not task.belongs_to("root@pam!sep")


@pytest.mark.rows("PVE-19")
@pytest.mark.parametrize(
    ("upid", "text"),
    [("UPID:bad", "unable to parse worker upid"), ("UPID:pve1:00000001:00000001:00000001:x:1:root@pam:", "no such")],
)
def test_unknown_tasks(tasks: Tasks, upid: str, text: str) -> None:
    with pytest.raises(Refusal) as refused:
        tasks.find("pve1", upid)
    assert text in (refused.value.errors or {})["upid"]


@pytest.mark.rows("PVE-19")
def test_another_node_does_not_know_it(tasks: Tasks) -> None:
    upid = tasks.begin("pve1", "vzstart", 103, OWNER, lambda _worker: None)
    with pytest.raises(Refusal):
        tasks.find("pve2", upid)
    assert [task.upid for task in tasks.of("pve1")] == [upid]
    assert tasks.of("pve2") == []


def test_the_cluster_tells_the_last_of_each_node(tasks: Tasks) -> None:
    for _ in range(KEPT_BY_CLUSTER + 2):
        run(tasks, lambda _worker: None)
    assert len(tasks.of_cluster(["pve1", "pve2"])) == KEPT_BY_CLUSTER
    assert len(tasks.of("pve1")) == KEPT_BY_CLUSTER + 2
