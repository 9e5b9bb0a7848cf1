"""One process's life: it counts its steps, and may end at any of them without another word."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

#: Tells whether the process ends at this step.
Fate = Callable[[str], bool]


class Killed(BaseException):
    """The process does not exist any more; nothing in it may catch this."""


def never(_step: str) -> bool:
    """Let it live."""
    return False


@dataclass
class Life:
    """Steps are moments between two effects on the world outside; ``kill`` is what happens to the process."""

    kill: Callable[[], None]
    fate: Fate = never
    dead: bool = False
    steps: list[str] = field(default_factory=list)

    def tick(self, step: str) -> None:
        """Pass a step in the middle of something that cannot wait. Raises Killed."""
        if not self.dead:
            self.steps.append(step)
            if self.fate(step):
                self.kill()
        if self.dead:
            raise Killed(step)

    async def step(self, step: str) -> None:
        """Pass a step; who is dead waits here until it is buried."""
        try:
            self.tick(step)
        except Killed:
            await grave()


async def grave() -> NoReturn:
    """Wait until cancelled."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError("the dead do not go on")
