"""How long to wait before trying again: doubling, capped, with jitter."""

from collections.abc import Callable

Random = Callable[[], float]
#: Seconds: the first and the longest wait of a request, and of the stream.
REQUEST_FIRST, REQUEST_CAP = 1.0, 32.0
STREAM_FIRST, STREAM_CAP = 5.0, 60.0
#: How often a request is tried in all.
TRIES = 5
#: Part of a wait by which it may be longer or shorter, so that a fleet does not return in step.
JITTER = 0.2
#: Seconds of Retry-After that are honoured, at most.
RETRY_AFTER_CAP = 300.0
#: Answers after which the same request may succeed.
RETRYABLE = frozenset({408, 425, 429})


def delay(attempt: int, random: Random, *, first: float = REQUEST_FIRST, cap: float = REQUEST_CAP) -> float:
    """Return the seconds to wait after failure number ``attempt`` (from 0); ``random`` gives 0 to 1."""
    plain = min(cap, first * float(1 << min(attempt, 30)))
    return min(cap, plain * (1 - JITTER + 2 * JITTER * random()))


def is_retryable(status: int) -> bool:
    """Tell whether an HTTP status may pass by waiting."""
    return status in RETRYABLE or status >= 500


def retry_after(text: str | None) -> float | None:
    """Read a Retry-After header in seconds; None where it is absent or a date."""
    try:
        seconds = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return min(seconds, RETRY_AFTER_CAP) if seconds >= 0 else None
