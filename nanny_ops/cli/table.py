"""Lists on the terminal: a table for people, JSON for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Rows at most.")]
#: Columns of a table that goes into a pipe or a file, where nobody's window bounds it.
WIDE = 240


def console() -> Console:
    """Return the terminal, or something as wide as any table where there is none."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDE, highlight=False)


def show(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, as_json: bool, title: str = "") -> None:
    """Print rows; ``columns`` maps a heading to the key below it. JSON has every key."""
    if as_json:
        print(json.dumps(list(rows), indent=2))
        return
    table = Table(title=title or None, box=None, pad_edge=False, header_style="bold")
    for heading in columns:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(escape(_cell(row.get(key))) for key in columns.values()))
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
