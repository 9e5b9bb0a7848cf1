"""What watchers see: lines in a pipe, bars on a terminal, JSON for programs, and how to go on after Ctrl-C."""

import io
import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
import typer

from nanny_ops.cli.client import Client
from nanny_ops.cli.live import Followed, Lines, Live, follow
from nanny_ops.cli.meter import Meter

STATUS = {"operation_id": "p1", "target": "lxc:100", "outcome": None, "reason": "", "silent_since": None}
STEP = {"operation_id": "p1", "name": "preflight", "outcome": "ok", "reason": "It runs."}
OUTPUT = {"operation_id": "p1", "stream": "stdout", "offset": 0}
TALE: list[tuple[str, dict[str, Any]]] = [
    ("status", {**STATUS, "status": "running"}),
    ("step", STEP),
    ("step", {**STEP, "name": "script", "outcome": "running", "reason": ""}),
    ("output", {**OUTPUT, "text": "1 upgraded, 0 newly installed\nSet"}),
    ("output", {**OUTPUT, "text": 'ting up a (1)\x1b[2J\n[{"name": "a"}]\nnanny-note {}\nlast'}),
    ("step", {**STEP, "name": "start", "outcome": "skipped"}),
    ("status", {**STATUS, "status": "completed", "outcome": "ok"}),
    ("end", {"id": "p1", "summary": {"ok": 1}}),
]


def live(*names: str, **options: Any) -> tuple[Live, io.StringIO]:
    to = io.StringIO()
    orders = {f"p{number}": Followed(name, Meter(["script"])) for number, name in enumerate(names or ("web",), 1)}
    return Live(orders, to=to, **{"as_json": False, "on_terminal": False, **options}), to


def test_a_pipe_gets_lines() -> None:
    shown, to = live()
    shown.show(TALE)
    assert to.getvalue().splitlines() == [
        "p1 lxc:100 running",
        "preflight ok: It runs.",
        "script running",
        "1 upgraded, 0 newly installed",
        "Setting up a (1)\N{REPLACEMENT CHARACTER}[2J",
        "p1 lxc:100 completed ok",
        "last",
    ]
    assert shown.outcomes == ["ok"]


def test_a_terminal_gets_a_bar_for_each_and_one_for_all() -> None:
    shown, to = live("web", "db", on_terminal=True)
    shown.show(TALE)
    text = to.getvalue()
    assert "web | Setting up a (1)" in text
    assert "1 of 2" in text
    assert "\x1b[2J" not in text
    assert "\u2501" in text


def test_programs_get_a_line_of_json_for_each_event(capsys: pytest.CaptureFixture[str]) -> None:
    shown, to = live(as_json=True, on_terminal=True)
    shown.show(TALE)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == [name for name, _ in TALE[:-1]]
    assert to.getvalue() == ""


def test_an_order_that_nobody_fetches_is_told_once() -> None:
    for status, times in (("pending", 1), ("running", 0)):
        asked: list[int] = []
        shown, _ = live(idle=lambda asked=asked: asked.append(1))
        shown.show([("status", {**STATUS, "status": status}), ("", {}), ("", {})])
        assert len(asked) == times


def test_who_leaves_is_told_how_to_come_back_and_how_to_cancel() -> None:
    class Interrupted:
        def watch(self, _noun: str, _key: str, lost: Any) -> Iterator[Any]:
            yield TALE[0]
            lost("it broke", 1.5)
            raise KeyboardInterrupt

    shown, to = live()
    with pytest.raises(typer.Exit) as left:
        follow(cast("Client", Interrupted()), "patches", "p1", shown, again="AGAIN p1", cancel="CANCEL p1")
    assert left.value.exit_code == 130
    lines = to.getvalue().splitlines()
    assert "(it broke)" in lines[1]
    assert lines[-1] == "p1 goes on without you. 'AGAIN p1' shows it again; 'CANCEL p1' takes it back."


def test_a_line_without_end_is_shown_in_parts() -> None:
    lines = Lines()
    assert [len(line) for line in lines.feed("x" * 20_000)] == [20_000]
    assert list(lines.end()) == []
