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
    """A client whose batch ends."""

    def __init__(self, outcome: str) -> None:
        target = replace(TARGET, status="completed", outcome=outcome)
        self._ended = replace(BATCH, state="ended", summary={outcome: 1}, targets=[target])
        told = {"operation_id": "p1", "target": "lxc:100", "reason": "", "silent_since": None}
        self._events = [
            ("status", {**told, "status": "running", "outcome": None}),
            ("status", {**told, "status": "completed", "outcome": outcome}),
            ("end", {"id": "batch-1", "summary": {outcome: 1}}),
        ]

    def watch(self, noun: str, key: str, _lost: Any) -> Any:
        assert (noun, key) == ("patch-batches", "batch-1")
        return iter(self._events)

    def batch(self, _key: str) -> PatchBatch:
        return self._ended


def follow(outcome: str, *, as_json: bool = False) -> None:
    patch_batch.follow_batch(cast("Client", Answers(outcome)), BATCH, as_json=as_json)


def test_a_pipe_gets_a_line_for_each_change_and_then_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    follow("ok")
    said = capsys.readouterr()
    assert said.err.splitlines() == ["p1 lxc:100 running", "p1 lxc:100 completed ok"]
    assert "It is stopped." in said.out


def test_what_did_not_end_well_is_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        follow("unhealthy", as_json=True)
    assert ended.value.exit_code == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("outcome") for line in lines[:2]] == [None, "unhealthy"]
    last = lines[-1]
    assert (last["event"], last["id"], last["state"], last["summary"]) == ("end", "batch-1", "ended", {"unhealthy": 1})
    assert last["batch"]["targets"][0]["outcome"] == "unhealthy"


def test_an_answer_of_a_later_release_is_read_too() -> None:
    values = json.loads(json.dumps({**asdict(BATCH), "colour": "red"}))
    assert batch_of(values) == BATCH
