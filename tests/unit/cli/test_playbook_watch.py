"""A run is followed to its end, each event a line, and nothing is told twice."""

import json
from typing import Any, cast

import httpx
import pytest

from nanny_ops.cli import playbook
from nanny_ops.cli.client import Client
from nanny_ops.cli.playbook_watch import follow, line
from nanny_ops.errors import SettingsError
from nanny_ops.protocol.playbook_run import PlaybookRun

RUN: dict[str, Any] = {
    "id": "run-1", "playbook": "facts", "origin": "shipped", "check": True, "vars": {}, "limit": [],
    "timeout_seconds": 60, "status": "running", "outcome": None, "reason": "", "checked_by": "",
    "unchecked_reason": "", "hosts": {}, "exit_code": None, "events": 0, "left_out": 0, "created_by": "u",
    "created_at": "2026-01-31T02:00:00Z", "started_at": None, "ended_at": None, "cancel_requested_at": None,
}  # fmt: skip
EVENTS = [
    {"seq": 7, "kind": "play", "play": "Facts"},
    {"seq": 8, "kind": "task", "task": "Tell"},
    {"seq": 9, "kind": "host", "host": "pve1", "state": "ok", "seconds": 0.5, "message": "fine\x1b[2J"},
    {"seq": 11, "kind": "ended", "outcome": "ok"},
]
ENDED = {**RUN, "status": "completed", "outcome": "ok", "hosts": {"pve1": {"ok": 1, "later": 2}}}


def plane(request: httpx.Request) -> httpx.Response:
    """Answer as a control plane on which two events are there at the first look, and the end at the second."""
    looks = plane.__dict__.setdefault("looks", [])
    if not request.url.path.endswith("/events"):
        looks.append(1)
        return httpx.Response(200, json=RUN if len(looks) < 2 else ENDED)
    after, there = int(request.url.params["after"]), EVENTS[: 2 if len(looks) < 2 else 4]
    return httpx.Response(200, json={"items": [one for one in there if cast("int", one["seq"]) > after]})


@pytest.mark.parametrize("as_json", [True, False])
def test_each_event_is_told_once_until_the_end(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    plane.__dict__.clear()
    with Client("http://127.0.0.1:1", "t", transport=httpx.MockTransport(plane)) as client:
        run = PlaybookRun(**RUN)
        ended = follow(client, run, as_json=as_json, sleep=lambda _seconds: None)
    assert (ended.outcome, ended.hosts["pve1"].ok) == ("ok", 1)
    said = capsys.readouterr()
    if as_json:
        assert [json.loads(one) for one in said.out.splitlines()] == EVENTS
    else:
        assert said.err.splitlines() == [line(event) for event in EVENTS]
        assert "\x1b" not in said.err


def test_variables_are_json_unless_a_text_is_wanted() -> None:
    kinds = {"note": "str", "level": "int"}
    found = playbook.variables(["note=1", "level=1", "more=[1]", "other=a=b"], None, kinds)
    assert found == {"note": "1", "level": 1, "more": [1], "other": "a=b"}
    with pytest.raises(SettingsError):
        playbook.variables(["note"], None, kinds)
