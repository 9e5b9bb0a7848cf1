"""Tasks: failures told once, ends of long ones not missed, our clock not needed."""

from typing import Any

import pytest

from nanny_ops.machine.proxmox.task_list import TaskList


def task(number: int, start: int, end: int | None = None, status: str = "OK", **more: Any) -> dict[str, Any]:
    ended = {"endtime": end, "status": status} if end is not None else {}
    upid = f"UPID:n:{number}:"
    return {"upid": upid, "node": "n", "type": "vzdump", "id": "101", "user": "u", "starttime": start, **ended, **more}


def test_a_failure_is_told_once() -> None:
    tasks, bad = TaskList(), task(1, 100, 110, "job errors")
    assert [one["upid"] for one in tasks.take("n", [bad])[0]] == ["UPID:n:1:"]
    assert tasks.question("n") == {"source": "all", "limit": 500, "since": 100}
    assert tasks.take("n", [bad]) == ([], set())


@pytest.mark.rows("PVE-18")
def test_warnings_are_no_failure() -> None:
    assert TaskList().take("n", [task(1, 100, 110, "WARNINGS: 1"), task(2, 100, 110)])[0] == []


def test_a_long_task_that_began_before_the_last_look_is_still_seen_to_end() -> None:
    tasks = TaskList()
    tasks.take("n", [task(1, 100), task(2, 5000, 5001)])
    assert tasks.question("n")["since"] == 100
    failed, touched = tasks.take("n", [task(1, 100, 9000, "aborted"), task(2, 5000, 5001)])
    assert [one["status"] for one in failed] == ["aborted"]
    assert touched == {101}


def test_guests_that_tasks_were_about_are_named_but_not_for_merely_looking() -> None:
    tasks = TaskList()
    assert tasks.take("n", [task(1, 100, 101)])[1] == set()
    new = [task(2, 200, 201, id="200"), task(3, 200, 201, type="vncproxy", id="300"), task(4, 200, 201, id="local")]
    assert tasks.take("n", new)[1] == {200}


def test_an_empty_list_changes_nothing() -> None:
    tasks = TaskList()
    assert tasks.take("n", []) == ([], set())
    assert tasks.take("n", [task(1, 50, 60, "x")])[0]
