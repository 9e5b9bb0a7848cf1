"""Nodes that do not answer are left alone for a while: a dead one must not cost every cycle its timeouts."""

from dataclasses import dataclass

#: Failures in a row after which a node is left alone.
FAILURES = 3
#: Seconds it is left alone at first, and at most; doubled each time.
FIRST, MOST = 60.0, 1800.0


@dataclass
class _Line:
    failures: int = 0
    pause: float = 0.0
    until: float = 0.0


class Breaker:
    """One line per node. Times are seconds of any clock that does not go back."""

    def __init__(self) -> None:
        """Begin with all nodes in good standing."""
        self._lines: dict[str, _Line] = {}

    def allows(self, node: str, now: float) -> bool:
        """Tell whether a node may be asked; after its pause a single failure closes it again."""
        line = self._lines.get(node)
        return line is None or now >= line.until

    def worked(self, node: str) -> None:
        """Note that a node has answered, whatever it said."""
        self._lines.pop(node, None)

    def failed(self, node: str, now: float) -> None:
        """Note that a node has not answered."""
        line = self._lines.setdefault(node, _Line())
        line.failures += 1
        if line.failures >= FAILURES and now >= line.until:
            line.pause = min(line.pause * 2 or FIRST, MOST)
            line.until = now + line.pause
