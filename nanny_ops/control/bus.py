"""Wakes listeners after a commit. It only says that there is more; what there is stands in the event log."""

import asyncio
import threading
from collections.abc import Callable


class Bus:
    """In-process bus: any thread wakes, listeners of one event loop are called there."""

    def __init__(self) -> None:
        """Start without listeners."""
        self._listeners: dict[Callable[[], None], asyncio.AbstractEventLoop] = {}
        self._lock = threading.Lock()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have ``listener`` called in this loop after each commit that logged events; return how to stop."""
        with self._lock:
            self._listeners[listener] = asyncio.get_running_loop()
        return lambda: self._forget(listener)

    def wake(self) -> None:
        """Tell all listeners that the log has grown; safe from any thread."""
        with self._lock:
            listeners = list(self._listeners.items())
        for listener, loop in listeners:
            if not loop.is_closed():
                loop.call_soon_threadsafe(listener)

    def _forget(self, listener: Callable[[], None]) -> None:
        with self._lock:
            self._listeners.pop(listener, None)
