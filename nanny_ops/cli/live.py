"""Orders on the terminal while they go on: a bar and the script's lines, plain lines in a pipe, or lines of JSON."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from nanny_ops.cli.client import Client
from nanny_ops.cli.client_watch import StreamNoun
from nanny_ops.cli.meter import Meter
from nanny_ops.cli.table import printable
from nanny_ops.protocol.operation import ENDED
from nanny_ops.protocol.watch import END, OUTPUT, STATUS, STEP

#: How the lines begin that scripts write for programs: notes, and the list of packages.
FOR_PROGRAMS = ("nanny-note {", '[{"name":', "[]")
#: Characters of a line that has not ended which are kept, bars of a batch that are shown at once, and the exit code
#: after Ctrl-C, as shells have it.
LONGEST_LINE, BARS, INTERRUPTED = 16 * 1024, 8, 130
Stream = Callable[[Callable[[str, float], None]], Iterable[tuple[str, dict[str, Any]]]]


class Lines:
    """Takes a script's output in pieces and gives whole lines, without those that it writes for programs."""

    def __init__(self) -> None:
        """Begin at the start of a line."""
        self._rest = ""

    def feed(self, text: str) -> Iterator[str]:
        """Yield what is whole by now; the beginning of a line waits for its end."""
        *lines, self._rest = (self._rest + text).split("\n")
        yield from (printable(line) for line in lines if not line.startswith(FOR_PROGRAMS))
        if len(self._rest) > LONGEST_LINE:
            line, self._rest = self._rest, ""
            yield printable(line)

    def end(self) -> Iterator[str]:
        """Yield a last line without an end."""
        if self._rest:
            yield from self.feed("\n")


@dataclass
class Followed:
    """One order, and how far it has come."""

    name: str
    meter: Meter
    outputs: dict[str, Lines] = field(default_factory=lambda: {"stdout": Lines(), "stderr": Lines()})
    outcome: str | None = None
    bar: TaskID | None = None


class Live:
    """Shows what a stream tells. ``idle`` is called once where nobody has fetched an order after a while."""

    def __init__(
        self,
        orders: Mapping[str, Followed],
        *,
        as_json: bool,
        to: TextIO | None = None,
        on_terminal: bool | None = None,
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the orders by their ids."""
        self._orders, self._as_json, self._idle = dict(orders), as_json, idle
        self._to = to or sys.stderr
        terminal = self._to.isatty() if on_terminal is None else on_terminal
        self._console = Console(file=self._to, highlight=False, emoji=False, force_terminal=on_terminal)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[told]}", markup=False),
            console=self._console,
            disable=not terminal or as_json,
        )
        self._begun: set[str] = set()
        self._whole: TaskID | None = None

    def show(self, events: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Show all that comes, up to the end."""
        with self._bars:
            if len(self._orders) > 1:
                self._whole = self._bars.add_task("all", total=len(self._orders), told="")
            for name, data in events:
                self._take(name, data)
            for one in self._orders.values():
                self._print(one, (line for lines in one.outputs.values() for line in lines.end()))

    def lost(self, why: str, seconds: float) -> None:
        """Say that the connection broke and is tried again."""
        self.say(f"The connection is lost ({why}); it is tried again in {seconds:.0f} s and goes on where it was.")

    def say(self, line: str) -> None:
        """Write a line for people, above the bars."""
        if not self._bars.disable:
            self._console.print(Text(printable(line)), soft_wrap=True)
        else:
            print(printable(line), file=self._to, flush=True)

    @property
    def outcomes(self) -> list[str | None]:
        """Return what the orders came to, as far as they have ended."""
        return [one.outcome for one in self._orders.values()]

    def _take(self, name: str, data: dict[str, Any]) -> None:
        if not name:
            self._wait()
            return
        if self._as_json and name != END:
            print(json.dumps({"event": name, **data}), flush=True)
        one = self._orders.get(data.get("operation_id", ""))
        if one is None:
            return
        if name == STATUS:
            self._status(one, data)
        elif name == STEP:
            self._step(one, data)
        elif name == OUTPUT:
            self._print(one, self._read(one, data))
        self._draw(one)

    def _wait(self) -> None:
        if not self._begun and not self._as_json:
            self._begun.add("")
            self._idle()

    def _status(self, one: Followed, data: Mapping[str, Any]) -> None:
        one.outcome = data["outcome"]
        if data["status"] != "pending":
            self._begun.add(data["operation_id"])
        silent = "nothing is heard of its agent" if data["silent_since"] else ""
        words = [data["operation_id"], data["target"], data["status"], data["outcome"], data["reason"], silent]
        self._tell(" ".join(word for word in words if word))
        if data["status"] in ENDED and one.bar is not None:
            self._bars.remove_task(one.bar)
            one.bar = None

    def _step(self, one: Followed, data: Mapping[str, Any]) -> None:
        one.meter.take(data)
        if data["outcome"] != "skipped":
            reason = f": {data['reason']}" if data["reason"] else ""
            self._tell(f"{self._before(one)}{data['name']} {data['outcome']}{reason}")

    def _read(self, one: Followed, data: Mapping[str, Any]) -> Iterator[str]:
        for line in one.outputs[data["stream"]].feed(data["text"]):
            one.meter.read(line)
            yield line

    def _print(self, one: Followed, lines: Iterable[str]) -> None:
        for line in lines:
            self._tell(f"{self._before(one)}{line}")

    def _before(self, one: Followed) -> str:
        return f"{one.name} | " if len(self._orders) > 1 else ""

    def _tell(self, line: str) -> None:
        if not self._as_json:
            self.say(line)

    def _draw(self, one: Followed) -> None:
        if self._bars.disable:
            return
        ended = sum(other.outcome is not None for other in self._orders.values())
        if self._whole is not None:
            self._bars.update(self._whole, completed=ended, told=f"{ended} of {len(self._orders)}")
        if one.outcome is not None:
            return
        if one.bar is None and sum(other.bar is not None for other in self._orders.values()) < BARS:
            one.bar = self._bars.add_task(one.name, total=1.0, told="")
        if one.bar is not None:
            self._bars.update(one.bar, completed=one.meter.share, told=one.meter.words)


def follow(client: Client, noun: StreamNoun, key: str, live: Live, *, again: str, cancel: str) -> None:
    """Show a stream to its end. Ctrl-C leaves the orders alone and says how to go on and how to take them back."""
    try:
        live.show(client.watch(noun, key, live.lost))
    except KeyboardInterrupt:
        live.say(f"{key} goes on without you. '{again}' shows it again; '{cancel}' takes it back.")
        raise typer.Exit(INTERRUPTED) from None
