"""Tables for people, JSON for programs, and nothing that plays with the terminal."""

import json

import pytest

from nanny_ops.cli.table import printable, show, show_one

ROWS = [
    {"name": "web\x1b[2J[red]", "tags": ["a"], "gone": None, "up": True, "n": 7},
    {"name": "x" * 100, "tags": [], "gone": "", "up": False, "n": 0},
]
COLUMNS = {"guest": "name", "tags": "tags", "gone": "gone", "up": "up", "n": "n"}


def test_a_table_into_a_pipe_is_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, COLUMNS, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].split() == list(COLUMNS)
    assert "\x1b" not in lines[1]
    assert "[2J[red]" in lines[1]
    assert lines[1].split()[-3:] == ["a", "yes", "7"]
    assert lines[2].split() == ["x" * 100, "no", "0"]


def test_json_has_everything(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, {"guest": "name"}, as_json=True)
    assert json.loads(capsys.readouterr().out) == ROWS
    show_one(ROWS[0], as_json=True)
    assert json.loads(capsys.readouterr().out) == ROWS[0]


def test_one_thing_shows_what_it_has_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    show_one(ROWS[1], as_json=False)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["name", "up", "n"]


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert printable("a\x1b[31mb\r\n\tc\x07\u202e") == "a\ufffd[31mb\ufffd\n\tc\ufffd\ufffd"
