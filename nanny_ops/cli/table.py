"""Lists on the terminal: a table for people, JSON for programs with every key and each instant as it was sent."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nanny_ops.protocol.clock import now, parse_stamp

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Rows at most.")]
#: What stands below a heading: a key, or a key and how to write its value for people.
Column = str | tuple[str, Callable[[Any], Any]]
#: Seconds of each unit in which an age is told, the largest first.
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))
#: Columns of a table that goes into a pipe or a file, where nobody's window bounds it.
WIDE = 240


def console() -> Console:
    """Return the terminal, or something as wide as any table where there is none; ``:ab:`` in a MAC is no picture."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDE, highlight=False, emoji=False)


def show(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Column], *, as_json: bool, title: str = "") -> None:
    """Print rows; ``columns`` maps a heading to what stands below it. JSON has every key.

    The first column is what a person copies: it is never broken into lines.
    """
    if as_json:
        print(json.dumps(list(rows), indent=2))
        return
    table = Table(title=title or None, box=None, pad_edge=False, header_style="bold")
    for place, heading in enumerate(columns):
        table.add_column(heading, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*(escape(_cell(_look(row, column))) for column in columns.values()))
    console().print(table)


def show_one(row: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing, a line per field that says something."""
    if as_json:
        print(json.dumps(dict(row), indent=2))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in row.items():
        if (text := _cell(value)) != "":
            table.add_row(escape(key), escape(text))
    console().print(table)


def age(stamp: str | None, present: Callable[[], datetime] = now) -> str:
    """Write an instant as a person tells it: ``now``, ``2 min ago``, ``in 23 h``; None is nothing."""
    if not stamp:
        return ""
    seconds = (present() - parse_stamp(stamp)).total_seconds()
    for length, unit in UNITS:
        if abs(seconds) >= length:
            count = int(abs(seconds) // length)
            return f"{count} {unit} ago" if seconds > 0 else f"in {count} {unit}"
    return "now"


def moment(stamp: str | None) -> str:
    """Write an instant to the second, in UTC; None is nothing."""
    return parse_stamp(stamp).strftime("%Y-%m-%d %H:%M:%S") if stamp else ""


def flag(value: Any) -> str:
    """Write what Proxmox VE says as 0 or 1 as a word; what was not said is nothing."""
    return "" if value is None else "yes" if value else "no"


def _look(row: Mapping[str, Any], column: Column) -> Any:
    if isinstance(column, str):
        return row.get(column)
    key, write = column
    return write(row.get(key))


def _cell(value: Any) -> str:
    """Write a value; control characters, which a reported name may hold, must not reach the terminal."""
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return printable(", ".join(value))
    text = json.dumps(value) if isinstance(value, dict | list) else str(value)
    return printable(text)


def printable(text: str) -> str:
    """Return a text without what could move the cursor or paint over a line."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\N{REPLACEMENT CHARACTER}" for sign in text)
