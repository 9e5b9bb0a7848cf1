"""A control plane inside the test: its real app, services and store, which can be killed at any step and come back.

What a killed one leaves is what its disk held at that moment; whatever its tasks still do while they are swept up
happens in a directory that nobody opens again.
"""

import asyncio
import functools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Scope

from nanny_ops.control import scheduler
from nanny_ops.control.api import DIRECT
from nanny_ops.control.api.gate import Gate
from nanny_ops.control.api.state import State
from nanny_ops.control.api.streams import Streams
from nanny_ops.control.app import create_app, make_state, prepare
from nanny_ops.control.services import signature
from nanny_ops.control.services.session import Sessions
from nanny_ops.control.settings import Settings
from nanny_ops.control.store.database import CLOSED, Database, Tx, _Work
from nanny_ops.errors import Unavailable
from tests.fakes.life import Fate, Killed, Life, grave, never
from tests.fakes.virtual_time import VirtualClock
from tests.integration.faults.disk import FullDisk, Mounted

#: Seconds between two looks of the ticker, and of the streams at the log: the play's own, to save steps.
SWEEP, LOOK = 30.0, 60.0


class InTurn(Database):
    """The store without its writing thread: what waits shares a commit in the loop's next turn."""

    life: Life
    waiting: list[_Work]

    def __post_init__(self) -> None:
        """Use the engines that are there."""
        self.sqlite, self._readers = True, None  # the loop does a thread's work
        self._engine, self._hasty, self._reading = _engines().engines

    def start(self) -> None:
        """Start no thread."""

    def close(self) -> None:
        """Take no more; the engines are others' as well."""
        self._closed = True

    async def _put(self, work: _Work) -> Any:
        if self._closed:
            raise Unavailable(CLOSED)
        if self.life.dead:
            await grave()
        if not self.waiting:
            asyncio.get_running_loop().call_soon(self._turn)
        self.waiting.append(work)
        return await work.future

    def _turn(self) -> None:
        group, self.waiting = self.waiting, []
        try:
            self.life.tick("before a commit")
            self._commit(group)
            self.life.tick("after a commit")
        except Killed:
            return


class Plane:
    """The control plane of one play: at most one runs at a time, each on what the last one left."""

    def __init__(self, home: Path, clock: VirtualClock) -> None:
        self.home, self.clock = home, clock
        self.disk = FullDisk()
        self.fate: Fate = never
        self.died = asyncio.Event()
        self.app: ASGIApp | None = None
        self.troubles: list[str] = []
        self._generation = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: set[Callable[[], None]] = set()
        self._dead: list[tuple[State, list[asyncio.Task[None]]]] = []

    @property
    def state(self) -> State:
        """The running one's state."""
        return self._state

    async def start(self, *, rested: bool = False) -> None:
        """Open what is on the disk, and serve; what was left in order (``rested``) needs no preparation."""
        self.life = Life(self.kill, self.fate)
        self._state = state = make_state(Settings(data_dir=self.home, rate_limits="on"))
        state.database = database = InTurn(state.database.url, seal=state.database.seal)
        database.life, database.waiting, database.on_commit = self.life, [], state.bus.wake
        _engines().mount(self.disk, self.home)
        state.sessions, state.streams = Sessions(state.sessions.keyring, database), Streams(database, state.bus)
        state.clock, state.streams.look_every = self.clock, LOOK
        if not rested:
            prepare(database)
            database.write_now(lambda tx: signature.adopt(tx, state.signer, self.clock()))
        await state.streams.start()
        state.phase, self.app = "ready", _around(state)
        self.died.clear()
        self._begin(self._sweep())

    def kill(self) -> None:
        """End at once, as by a power switch that leaves the disk's cache alone."""
        if self.app is None:
            return
        self._generation += 1
        left = self.home.with_name(f"plane-{self._generation}")
        shutil.copytree(self.home, left, ignore=shutil.ignore_patterns("*-shm"))
        self.home, self.app, self.life.dead = left, None, True
        for break_off in list(self._broken):
            break_off()
        tasks = [*self._tasks, *self._state.streams._tasks]
        self._tasks = set()
        for task in tasks:
            task.cancel()
        self._dead.append((self._state, tasks))
        self.died.set()

    async def bury(self) -> None:
        """End the running one and close what the killed ones held open; for the end of a play."""
        self.kill()
        for state, tasks in self._dead:
            await asyncio.gather(*tasks, return_exceptions=True)
            state.database.close()
        self._dead.clear()
        _engines().dispose()

    def serve(self, scope: Scope, receive: Any, send: Any, break_off: Callable[[], None]) -> None:
        """Answer one request in a task of its own; ``break_off`` is called when it ends, and when it is killed."""
        self._broken.add(break_off)
        self._begin(self._answer(scope, receive, send, break_off))

    def read(self, run: Callable[[Tx], Any]) -> Any:
        """Look into the store."""
        return self._state.database.read_now(run)

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, scope: Scope, receive: Any, send: Any, break_off: Callable[[], None]) -> None:
        app, life, path = self.app, self.life, scope["path"]
        assert app is not None

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 500:
                self.troubles.append(f"500 for {scope['method']} {path}")
            await send(message)

        try:
            await life.step(f"arrived {path}")
            await app(scope, receive, watched)
        except Exception as wrong:  # noqa: BLE001  every surprise is told at the end of the play
            self.troubles.append(f"{scope['method']} {path}: {wrong!r}")
        finally:
            self._broken.discard(break_off)
            break_off()

    async def _sweep(self) -> None:
        ticker = scheduler.Ticker(self._state.database, self._state.settings, self._state.counts, self.clock)
        expire, *_ = (one.func for one in scheduler.make(ticker).get_jobs())
        while True:
            await asyncio.sleep(SWEEP)
            await expire()


@functools.cache
def _engines() -> Mounted:
    return Mounted()


@functools.cache
def _routes() -> FastAPI:
    with tempfile.TemporaryDirectory() as nowhere:
        return create_app(Settings(data_dir=Path(nowhere)))


def _around(state: State) -> ASGIApp:
    """Return the app on this state; its routes, which hold nothing, are built once for all plays."""
    app = _routes()
    app.state.control = state
    app.user_middleware, app.middleware_stack = [Middleware(Gate, state=state, direct=DIRECT)], None
    return app


def refused() -> httpx.ConnectError:
    """Return what a client gets where nobody listens."""
    return httpx.ConnectError("All connection attempts failed")
