"""What was counted lately, for a bounded number of keys, in this process's memory."""

from array import array
from bisect import insort
from collections import OrderedDict
from collections.abc import Hashable

#: Idle keys dropped per count, at most: more than one, so that there are never more keys than those lately used.
SWEPT = 2


class Tally:
    """Instants by key: those of the last ``window`` seconds, of at most ``room`` keys; the longest unused goes first.

    All instants are seconds of the epoch. Not for several threads.
    """

    def __init__(self, window: float, room: int) -> None:
        """Start with nothing counted."""
        self._window, self._room = window, room
        self._seen: OrderedDict[Hashable, array[float]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._seen)

    def of(self, key: Hashable, now: float) -> "array[float]":
        """Return a key's instants behind ``now - window``, the oldest first; do not change them.

        Instants ahead of ``now`` are dropped: the clock was set back, and nobody shall wait for it to catch up.
        """
        seen = self._seen.get(key)
        if seen is None:
            return array("d")
        start = now - self._window
        while seen and seen[0] <= start:
            del seen[0]
        while seen and seen[-1] > now:
            del seen[-1]
        return seen

    def add(self, key: Hashable, instant: float, now: float) -> None:
        """Count one instant, and forget keys that have been idle for longer than the window."""
        seen = self._seen.get(key)
        if seen is None:
            seen = self._seen[key] = array("d")
        else:
            self._seen.move_to_end(key)
        insort(seen, instant)
        self._sweep(now - self._window)

    def _sweep(self, start: float) -> None:
        for _ in range(SWEPT):
            key, seen = next(iter(self._seen.items()))
            if len(self._seen) <= self._room and seen and seen[-1] > start:
                return
            del self._seen[key]
            if not self._seen:
                return
