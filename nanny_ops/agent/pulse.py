"""Whether the agent's loops live: each is heard of now and then, and only then systemd's watchdog is fed."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


class Pulse:
    """Knows when each loop was last heard of, in seconds of a clock that never jumps."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Expect nothing yet."""
        self._clock = clock
        self._limits: dict[str, float] = {}
        self._heard: dict[str, float] = {}

    def expect(self, name: str, seconds: float) -> Callable[[], None]:
        """Expect to hear of a loop every so many seconds at least; return what it calls."""
        self._limits[name] = seconds

        def beat() -> None:
            self._heard[name] = self._clock()

        beat()
        return beat

    def rest(self) -> None:
        """Expect nothing any more: the loops are ended on purpose."""
        self._limits.clear()

    def late(self) -> list[str]:
        """Return the loops that have not been heard of for too long."""
        now = self._clock()
        return sorted(name for name, limit in self._limits.items() if now - self._heard[name] > limit)


async def feed(
    pulse: Pulse, alive: Callable[[], object], every: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Tell that the agent is alive, every so many seconds, for as long as no loop is late; runs until cancelled."""
    known: list[str] = []
    while True:
        late = pulse.late()
        if not late:
            alive()
        elif late != known:
            log.error("event=stuck loops=%s action='the watchdog is not fed'", ",".join(late))
        known = late
        await sleep(every)
