"""A thread that runs only while the play waits for it: code that blocks, in virtual time, the same way every time."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any


class Puppet:
    """Runs one function; each of its pauses is a pause of the play, and exactly one of the two goes on at a time."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._pause: float | None = None
        self._wrong: BaseException | None = None
        self._answer: Any = None
        self.cut = False

    async def play(self) -> Any:
        """Go through the function to its end, and return or raise what it did; when cancelled it is cut short."""
        thread = threading.Thread(target=self._live, daemon=True)
        thread.start()
        try:
            while (pause := self._turn()) is not None:
                await asyncio.sleep(pause)
        except asyncio.CancelledError:
            self.cut = True
            while self._turn() is not None:
                pass
            raise
        finally:
            thread.join()
        if self._wrong is not None:
            raise self._wrong
        return self._answer

    def sleep(self, seconds: float) -> None:
        """Let the play go on for so long; called by the function."""
        if not self.cut:
            self._pause = seconds
            self._back.release()
            self._go.acquire()

    def _turn(self) -> float | None:
        self._go.release()
        self._back.acquire()
        return self._pause

    def _live(self) -> None:
        self._go.acquire()
        try:
            self._answer = self._work()
        except BaseException as wrong:  # noqa: BLE001  raised again where the play waits
            self._wrong = wrong
        self._pause = None
        self._back.release()
