"""Notice that a script which runs has said nothing for long: its output files have stopped growing."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Silence:
    """Watches files of at most ``cap`` bytes; ``limit`` and ``longest`` in seconds, a ``limit`` of 0 never notices."""

    files: Sequence[Path]
    limit: float
    cap: int
    noticed: Callable[[float], None] = lambda _seconds: None
    tick: Callable[[], float] = time.monotonic
    longest: float = 0.0
    _sizes: tuple[int, ...] = ()
    _since: float | None = field(default=None)
    _told: bool = False

    def look(self) -> None:
        """Compare with the last look; tell once of each silence that grows longer than the limit."""
        now, sizes = self.tick(), tuple(_size(file) for file in self.files)
        if self._since is None or sizes != self._sizes or any(size >= self.cap for size in sizes):
            self._sizes, self._since, self._told = sizes, now, False
            return
        silent = now - self._since
        self.longest = max(self.longest, silent)
        if self.limit and silent >= self.limit and not self._told:
            self._told = True
            self.noticed(silent)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
