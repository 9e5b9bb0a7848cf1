"""An agent inside the test: its real daemon with link, worker, spool and courier, which can be killed at any step."""

import asyncio
import contextlib
import random
import shutil
from pathlib import Path
from typing import Any

from nanny_ops.agent import spool
from nanny_ops.agent.app import World, serve
from nanny_ops.agent.settings import load
from tests.fakes.life import Fate, Killed, Life, grave, never
from tests.fakes.machine import Machine
from tests.fakes.virtual_time import VirtualClock, VirtualTicks
from tests.integration.faults.disk import FullDisk, spool_on
from tests.integration.faults.wire import Network

URL = "http://127.0.0.1:8000"
#: Shorter for what heals, longer for what only costs steps.
INTERVALS = {"metrics_interval": "120", "pull_interval": "60"}


class ReachingHands:
    """The agent's way to its machine; a dead agent reaches nothing."""

    def __init__(self, machine: Machine, life: Life) -> None:
        self._machine, self._life = machine, life

    async def do(self, verb: Any) -> Any:
        name = type(verb).__name__
        await self._life.step(f"before {name}")
        try:
            answer = self._machine.perform(verb, self._life.tick)
        except Killed:
            await grave()
        await self._life.step(f"after {name}")
        return answer


class Post:
    """The agent of one machine: at most one process runs at a time, each on what the last one left."""

    def __init__(self, home: Path, machine: Machine, network: Network, dice: random.Random) -> None:
        self.home, self.machine, self.network, self.dice = home, machine, network, dice
        self.clock, self.disk = VirtualClock(), FullDisk()
        self.fate: Fate = never
        self.died = asyncio.Event()
        self.troubles: list[str] = []
        self.life = Life(self.kill)
        self._task: asyncio.Task[None] | None = None
        self._dead: list[asyncio.Task[None]] = []
        self._generation = 0

    def start(self) -> None:
        """Begin to be the agent."""
        self.life = Life(self.kill, self.fate)
        policy = self.home.parent / "policy.toml"
        policy.parent.mkdir(parents=True, exist_ok=True)
        policy.touch()  # an empty one allows every patch
        flags = {"url": URL, "state_dir": str(self.home), "policy_file": str(policy), **INTERVALS}
        settings = load(flags, {}, self.home / "no-agent.toml")
        world = World(
            hands=ReachingHands(self.machine, self.life),
            now=self.clock,
            sleep=asyncio.sleep,
            random=self.dice.random,
            transport=self.network.line(self.life),
            schedule=VirtualTicks,
            open_spool=spool_on(self.disk),
        )
        self.died.clear()
        self._task = asyncio.create_task(self._serve(settings, world, self.life), name="agent")

    def kill(self) -> None:
        """End at once; what the disk holds is what the next one finds."""
        if self._task is None:
            return
        self._generation += 1
        left = self.home.with_name(f"{self.home.name.partition('-')[0]}-{self._generation}")
        shutil.copytree(self.home, left, ignore=shutil.ignore_patterns("*-shm"))
        self.home, self.life.dead = left, True
        self._task.cancel()
        self._dead.append(self._task)
        self._task = None
        self.died.set()

    async def bury(self) -> None:
        """End the running one and wait for all; for the end of a play."""
        self.kill()
        for task in self._dead:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._dead.clear()

    def counts(self) -> spool.Counts:
        """Count what the spool holds."""
        found = spool.peek(self.home / spool.NAME)
        assert found is not None
        return found

    async def _serve(self, settings: Any, world: World, life: Life) -> None:
        try:
            await serve(settings, world, asyncio.Event())
        except Exception as wrong:  # noqa: BLE001  every surprise is told at the end of the play
            if not life.dead:
                self.troubles.append(f"the agent ended: {wrong!r}")
