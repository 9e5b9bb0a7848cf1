"""A batch is followed to its end: a line for each change, JSON for programs, and an exit code that tells."""

import json
from dataclasses import asdict, replace
from typing import Any, cast

import pytest
import typer

from nanny_ops.cli import patch_batch
from nanny_ops.cli.answer import batch_of
from nanny_ops.cli.client import Client
from nanny_ops.protocol.patch import PatchTerms
from nanny_ops.protocol.patch_batch import BatchTarget, PatchBatch, Select, Skipped

TARGET = BatchTarget(operation_id="p1", agent_id="a", target="lxc:100", name="web1", node="pve1", status="running")
BATCH = PatchBatch(
    id="batch-1", dry=False, state="open", order=PatchTerms(mode="apply"), select=Select(tags=["web"]),
    exclude=Select(), placed=1, left_out=1, summary={"running": 1}, targets=[TARGET],
    skipped=[Skipped(target="lxc:101", name="db", node="pve1", why="stopped", reason="It is stopped.")],
    created_at="2026-01-31T02:00:00Z",
)  # fmt: skip


class Answers:
    """A client whose batch ends at the third look."""

    def __init__(self, outcome: str) -> None:
        ended = replace(TARGET, status="completed", outcome=outcome)
        self.left = [BATCH, BATCH, replace(BATCH, state="ended", summary={outcome: 1}, targets=[ended])]

    def batch(self, _key: str) -> PatchBatch:
        return self.left.pop(0)


def follow(outcome: str, **more: Any) -> None:
    client = cast("Client", Answers(outcome))
    values = {"as_json": False, "on_terminal": False, **more}
    patch_batch.follow_batch(client, BATCH, sleep=lambda _seconds: None, **values)


def test_a_pipe_gets_a_line_for_each_change_and_then_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    follow("ok")
    said = capsys.readouterr()
    assert said.err.splitlines() == ["lxc:100 web1 running", "lxc:100 web1 ok"]
    assert "It is stopped." in said.out


def test_what_did_not_end_well_is_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        follow("unhealthy", as_json=True)
    assert ended.value.exit_code == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("outcome") for line in lines[:2]] == [None, "unhealthy"]
    assert lines[-1] == {"batch": "batch-1", "state": "ended", "summary": {"unhealthy": 1}}


def test_an_answer_of_a_later_release_is_read_too() -> None:
    values = json.loads(json.dumps({**asdict(BATCH), "colour": "red"}))
    assert batch_of(values) == BATCH
