"""A list that is looked at again and again."""

from typing import Any

import pytest

from nanny_ops.cli.following import follow


def looks(*rows: list[dict[str, Any]]) -> Any:
    """Return what is seen at each look, then Ctrl-C."""
    seen = iter(rows)

    def look() -> list[dict[str, Any]]:
        for found in seen:
            return found
        raise KeyboardInterrupt

    return look


@pytest.mark.parametrize(("on_terminal", "drawn"), [(True, 3), (False, 2)])
def test_a_pipe_gets_only_what_has_changed(on_terminal: bool, drawn: int, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [[{"a": 1, "freshness_seconds": 1}], [{"a": 1, "freshness_seconds": 9}], [{"a": 2, "freshness_seconds": 1}]]
    shown: list[Any] = []
    follow(looks(*rows), shown.append, 5, sleep=lambda _seconds: None, on_terminal=on_terminal)
    assert len(shown) == drawn
    assert ("\x1b[2J" in capsys.readouterr().out) is on_terminal
