"""Many calls at once, with a bound and an end: what is not there by then is missing, and nobody waits for it."""

import time
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from math import ceil
from typing import Any, TypeVar

from nanny_ops.errors import ProxmoxError, ProxmoxUnreachable
from nanny_ops.machine.proxmox.transport import CONNECTIONS

#: Calls for which a further thread is worth its connection: few calls go one after the other over one.
EACH = 4

Key = TypeVar("Key", bound=Hashable)


def gather(
    calls: Mapping[Key, Callable[[], Any]],
    until: float,
    *,
    workers: int = 0,
    tick: Callable[[], float] = time.monotonic,
) -> dict[Key, Any]:
    """Return each call's result, or the ProxmoxError that it raised; ``until`` is a time of ``tick``.

    What has not ended by then is a ProxmoxUnreachable. Its thread cannot be ended, but each wait of it can only last
    as long as the client's own timeout, and it begins no further call.
    """
    if not calls:
        return {}
    workers = min(workers or ceil(len(calls) / EACH), len(calls), CONNECTIONS)
    threads = ThreadPoolExecutor(workers, "proxmox")
    try:
        futures = {key: threads.submit(call) for key, call in calls.items()}
        wait(futures.values(), timeout=max(0.0, until - tick()))
        found: dict[Key, Any] = {}
        for key, future in futures.items():
            wrong = future.exception() if future.done() else ProxmoxUnreachable("The cycle's time was over.")
            if wrong is not None and not isinstance(wrong, ProxmoxError):
                raise wrong
            found[key] = future.result() if wrong is None else wrong
        return found
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
