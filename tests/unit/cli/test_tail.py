"""A log that is followed: nothing twice, nothing left out."""

from typing import Any

from nanny_ops.cli.tail import tail


def test_what_was_drawn_is_not_drawn_again() -> None:
    log = [{"seq": 1}, {"seq": 2}]
    drawn: list[int] = []

    def look(after: int) -> list[dict[str, Any]]:
        return [row for row in reversed(log) if row["seq"] > after]

    def sleep(_seconds: float) -> None:
        if len(log) == 4:
            raise KeyboardInterrupt
        log.append({"seq": len(log) + 1})

    tail(look, lambda rows: drawn.extend(row["seq"] for row in rows), 5, sleep=sleep)
    assert drawn == [1, 2, 3, 4]
