"""Usage over time as a table."""

import pytest

from nanny_ops.cli.history import show_history

FOUND = {
    "object": "lxc/101",
    "resolution": "5min",
    "truncated": True,
    "points": [{"at": "2026-01-31T02:00:00Z", "cpu": 0.5, "mem": 512, "maxmem": 1024, "netin_rate": 2048}],
}


def test_columns_that_say_nothing_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    show_history(FOUND, as_json=False)
    said = capsys.readouterr().out
    assert "2026-01-31 02:00:00  50 %  512 B (50 %)  2 KiB/s" in said
    assert "written" not in said
    assert "There is more before it" in said


def test_programs_get_everything(capsys: pytest.CaptureFixture[str]) -> None:
    show_history(FOUND, as_json=True)
    assert '"netin_rate": 2048' in capsys.readouterr().out
