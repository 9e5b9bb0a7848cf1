"""The C library's heap: kept small in a process that lives for months and reads in many threads."""

import ctypes

#: ``mallopt``'s names for its parameters (mallopt(3)).
_TRIM_THRESHOLD, _ARENA_MAX = -1, -8
#: Bytes at the heap's top that may lie unused before they are given back.
UNUSED = 64 * 1024


def keep_small() -> bool:
    """Let all threads share one heap that gives back what it does not use; tell whether the C library can.

    By default each thread gets a heap of its own, and what a reading of a large cluster has used stays: 5 MiB of an
    agent that sees a thousand guests. The price is a lock that Python's own lock makes idle. Only glibc knows these
    settings. Call it before the first thread is started.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(mallopt(_ARENA_MAX, 1) and mallopt(_TRIM_THRESHOLD, UNUSED))
