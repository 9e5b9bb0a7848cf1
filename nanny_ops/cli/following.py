"""Following a list: the same question again and again, until Ctrl-C."""

import sys
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

Rows = list[dict[str, Any]]
Watched = Annotated[bool, typer.Option("--watch", help="Go on showing it, until Ctrl-C.")]
Every = Annotated[float, typer.Option("--every", min=0.5, max=3600, help="With --watch: seconds between two looks.")]
#: Keys that change by themselves.
RESTLESS = frozenset({"updated_at", "freshness_seconds", "usage"})
CLEAR = "\x1b[H\x1b[2J"


def follow(
    look: Callable[[], Rows],
    draw: Callable[[Rows], None],
    every: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
    on_terminal: bool | None = None,
) -> None:
    """Draw what is seen: over and over on a terminal, in a pipe only when more than its age has changed."""
    terminal = sys.stdout.isatty() if on_terminal is None else on_terminal
    drawn: Rows | None = None
    try:
        while True:
            rows = look()
            if terminal:
                sys.stdout.write(CLEAR)
            if terminal or drawn is None or _still(rows) != _still(drawn):
                draw(rows)
                sys.stdout.flush()
                drawn = rows
            sleep(every)
    except KeyboardInterrupt:
        return


def _still(rows: Rows) -> Rows:
    return [{key: value for key, value in row.items() if key not in RESTLESS} for row in rows]
