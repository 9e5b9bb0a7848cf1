"""Following a log: what is there, then what comes."""

import time
from collections.abc import Callable
from typing import Any

Rows = list[dict[str, Any]]


def tail(
    look: Callable[[int], Rows],
    draw: Callable[[Rows], None],
    every: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Draw rows, oldest first, then those behind the last one, until Ctrl-C; ``look`` has the newest ``seq`` first."""
    seen = 0
    try:
        while True:
            rows = look(seen)[::-1]
            if rows:
                draw(rows)
                seen = rows[-1]["seq"]
            sleep(every)
    except KeyboardInterrupt:
        return
