"""Time that passes only when nobody has anything to do: an event loop, a clock that can jump, and ticks on both."""

import asyncio
import selectors
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from nanny_ops.agent.scheduler import Tick

#: When every play begins.
BEGINNING = datetime(2026, 3, 1, 12, tzinfo=UTC)


class _NoFiles(selectors.SelectSelector):
    """Never waits: nothing comes from outside, so that the next thing to happen is the next one planned."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits for something that nobody will do")
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is virtual, and which does a thread's work itself, one turn later."""

    def __init__(self) -> None:
        self._virtual = _NoFiles()
        self._own = threading.get_ident()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def run_in_executor(self, _executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = self.create_future()
        self.call_soon(_work, future, func, args)
        return future

    def call_soon_threadsafe(self, callback: Any, *args: Any, **kept: Any) -> Any:
        """Take what this thread says. A play that another thread had a part in would not come out the same twice."""
        if threading.get_ident() != self._own:
            raise RuntimeError("a thread takes part in the play")
        return self.call_soon(callback, *args, **kept)


def _work(future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Do what a thread would have begun by now, also for somebody who has stopped waiting."""
    try:
        answer = func(*args)
    except Exception as wrong:  # noqa: BLE001  carried to whoever awaits it
        if not future.cancelled():
            future.set_exception(wrong)
    else:
        if not future.cancelled():
            future.set_result(answer)


def play(story: Callable[[], Any]) -> Any:
    """Run a story from beginning to end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story())


@dataclass
class VirtualClock:
    """One machine's clock; ``off`` is how far it is from the true time."""

    off: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return BEGINNING + timedelta(seconds=asyncio.get_running_loop().time()) + self.off

    def timestamp(self) -> float:
        return self().timestamp()


@dataclass
class VirtualTicks:
    """What the agent's scheduler does, in the loop's time: one of a kind at a time, none made up for."""

    ticks: list[Tick]
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        self._tasks = [asyncio.create_task(_tick(one), name=f"tick-{one.name}") for one in self.ticks]

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()


async def _tick(one: Tick) -> None:
    if one.at_once:
        await one.run()
    while True:
        await asyncio.sleep(one.seconds)
        await one.run()
