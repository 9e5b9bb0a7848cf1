"""Tables for people, JSON for programs, and nothing that plays with the terminal."""

import json
from datetime import UTC, datetime

import pytest

from nanny_ops.cli.table import Column, age, flag, moment, printable, show, show_one

ROWS = [
    {"name": "web\x1b[2J[red]", "tags": ["a"], "gone": None, "up": True, "n": 7},
    {"name": "x" * 100, "tags": [], "gone": "", "up": False, "n": 0},
]
COLUMNS: dict[str, Column] = {"guest": "name", "tags": "tags", "gone": "gone", "up": "up", "n": "n"}


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


@pytest.mark.parametrize(
    ("stamp", "told"),
    [
        ("2026-01-31T02:00:00Z", "now"),
        ("2026-01-31T01:59:01.500Z", "now"),
        ("2026-01-31T01:58:00Z", "2 min ago"),
        ("2026-01-30T23:00:01Z", "2 h ago"),
        ("2026-01-28T01:00:00Z", "3 d ago"),
        ("2026-02-01T01:30:00Z", "in 23 h"),
        (None, ""),
    ],
)
def test_an_age_is_told_as_people_do(stamp: str | None, told: str) -> None:
    assert age(stamp, lambda: datetime(2026, 1, 31, 2, tzinfo=UTC)) == told


def test_moments_and_flags_are_plain() -> None:
    assert (moment("2026-01-31T02:00:00.123Z"), moment(None)) == ("2026-01-31 02:00:00", "")
    assert [flag(value) for value in (1, 0, None)] == ["yes", "no", ""]


def test_a_column_says_how_its_value_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    show([{"online": 1}], {"node": ("online", flag)}, as_json=False)
    show([{"online": 1}], {"node": ("online", flag)}, as_json=True)
    out = capsys.readouterr().out
    assert out.split()[:2] == ["node", "yes"]
    assert '"online": 1' in out
