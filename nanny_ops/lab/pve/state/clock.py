"""How time is told to the state, so that tests can tell it."""

from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def __call__(self) -> float:
        """Return seconds of the epoch."""
