"""Tasks behind their UPIDs."""

import threading
import time
from collections.abc import Iterator

import pytest

from nanny_ops.errors import MachineError
from nanny_ops.lab.pve.access import Token
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.task import Task, Tasks

TOKEN = Token("root@pam!rig", "x")


@pytest.fixture
def tasks() -> Iterator[Tasks]:
    made = Tasks(lambda: 0x6B020A25)
    yield made
    made.close()


def _wait(event: threading.Event) -> None:
    assert event.wait(10)


def ended(task: Task) -> Task:
    deadline = time.monotonic() + 10
    while not task.exitstatus and time.monotonic() < deadline:
        time.sleep(0.01)
    return task


def test_a_task_runs_until_its_work_is_done(tasks: Tasks) -> None:
    may_end = threading.Event()
    upid = tasks.begin("pve1", "vzstart", 103, TOKEN, lambda: _wait(may_end))
    task = tasks.find("pve1", upid)
    assert task.status()["status"] == "running"
    assert "exitstatus" not in task.status()
    assert task.log() == []
    may_end.set()
    assert ended(task).status()["exitstatus"] == "OK"
    assert task.row()["status"] == "OK"
    assert task.log() == [{"n": 1, "t": "TASK OK"}]


def test_the_upid_names_node_kind_guest_and_token(tasks: Tasks) -> None:
    parts = tasks.begin("pve1", "vzstart", 103, TOKEN, lambda: None).split(":")
    assert (parts[0], parts[1], *parts[4:]) == ("UPID", "pve1", "6B020A25", "vzstart", "103", "root@pam!rig", "")


@pytest.mark.parametrize(
    ("error", "text"),
    [(Refusal(500, "CT is locked (backup)"), "CT is locked (backup)"), (MachineError("no start"), "no start")],
)
def test_a_failure_is_the_exit_status(tasks: Tasks, error: Exception, text: str) -> None:
    def fail() -> None:
        raise error

    task = ended(tasks.find("pve1", tasks.begin("pve1", "vzstart", 103, TOKEN, fail)))
    assert task.exitstatus == text


@pytest.mark.parametrize(
    ("upid", "text"), [("UPID:bad", "unable to parse worker upid"), ("UPID" + ":1" * 8, "no such")]
)
def test_unknown_tasks(tasks: Tasks, upid: str, text: str) -> None:
    with pytest.raises(Refusal) as refused:
        tasks.find("pve1", upid)
    assert text in (refused.value.errors or {})["upid"]


def test_another_node_does_not_know_it(tasks: Tasks) -> None:
    upid = tasks.begin("pve1", "vzstart", 103, TOKEN, lambda: None)
    with pytest.raises(Refusal):
        tasks.find("pve2", upid)
    assert [task.upid for task in tasks.of("pve1")] == [upid]
    assert tasks.of("pve2") == []
