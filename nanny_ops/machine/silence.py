"""Notice that a script which runs has said nothing for long: its output files have stopped growing.

What was noticed stands in a small file of the job while it lasts, so that people learn of it before the end.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from nanny_ops.protocol import clock
from nanny_ops.protocol.package_list import plain
from nanny_ops.protocol.redaction import LONGEST_LINE, masked_end

#: The file, bytes of each output's end that are looked at for its last lines, and how many of these are told.
NAME, TAIL, LINES = "silent", 4096, 3
#: Characters of one line, and bytes of the whole file.
LINE, CAP = 200, 4096


@dataclass
class Silence:
    """Watches files of at most ``cap`` bytes; ``limit`` and ``longest`` in seconds, a ``limit`` of 0 never notices."""

    files: Sequence[Path]
    limit: float
    cap: int
    noticed: Callable[[float], None] = lambda _seconds: None
    #: Called when a word follows on a silence that was told.
    over: Callable[[], None] = lambda: None
    tick: Callable[[], float] = time.monotonic
    longest: float = 0.0
    _sizes: tuple[int, ...] = ()
    _since: float | None = field(default=None)
    _told: bool = False

    def look(self) -> None:
        """Compare with the last look; tell once of each silence that grows longer than the limit."""
        now, sizes = self.tick(), tuple(_size(file) for file in self.files)
        if self._since is None or sizes != self._sizes or any(size >= self.cap for size in sizes):
            if self._told:
                self.over()
            self._sizes, self._since, self._told = sizes, now, False
            return
        silent = now - self._since
        self.longest = max(self.longest, silent)
        if self.limit and silent >= self.limit and not self._told:
            self._told = True
            self.noticed(silent)


@dataclass(frozen=True)
class Notice:
    """What a job's supervisor tells of silences: at once in the job's ``directory``, and for good in its ``notes``."""

    directory: Path
    notes: list[str]
    now: Callable[[], datetime] = clock.now
    log: Callable[[BaseException], None] = lambda _wrong: None

    def begun(self, seconds: float, prefix: str = "") -> None:
        """Tell that a script has said nothing for so long; ``prefix`` is that of its outputs' names."""
        try:
            sentence = write(self.directory, seconds, self.now(), prefix)
        except OSError as wrong:  # the script goes on, and so does its supervisor
            self.log(wrong)
            sentence = f"The script had said nothing for {seconds:.0f} s."
        self.notes.append(f"stalled: {sentence}")

    def over(self) -> None:
        """Tell nothing any more: the script has spoken, or has ended."""
        try:
            (self.directory / NAME).unlink(missing_ok=True)
        except OSError as wrong:
            self.log(wrong)


def write(directory: Path, seconds: float, now: datetime, prefix: str = "") -> str:
    """Write down in a job's directory that its script is silent, and return the sentence. Raises OSError."""
    since = clock.stamp(now - timedelta(seconds=seconds))
    last = [line for name in ("stdout", "stderr") for line in _last_lines(directory / f"{prefix}{name}")]
    told = f" Its last words: {' | '.join(last)}" if last else " It has said nothing at all."
    who = f"The script of {prefix.rstrip('.')}" if prefix else "The script"
    sentence = f"{who} has said nothing since {since}.{told}"
    (directory / NAME).write_text(sentence)
    return sentence


def read(directory: Path) -> str:
    """Return the sentence about a silence that lasts, empty where there is none."""
    try:
        with (directory / NAME).open("rb") as file:
            return plain(file.read(CAP).decode("utf-8", "replace"))
    except FileNotFoundError:
        return ""


def _last_lines(file: Path) -> list[str]:
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, _size(file) - TAIL - LONGEST_LINE))
            text = masked_end(opened.read(TAIL + LONGEST_LINE), TAIL).decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    lines = [plain(line.strip()) for line in text.splitlines() if line.strip()]
    return [line[:LINE] for line in lines if not line.startswith("nanny-note ")][-LINES:]


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
