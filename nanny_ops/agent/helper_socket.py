"""The way to the privileged helper: a connection for each verb, which is asked again when the connection breaks."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import overload

from nanny_ops.agent.backoff import delay
from nanny_ops.errors import HelperAway, MachineError
from nanny_ops.machine.frame import ANSWER_CAP, ANSWER_TO, HEAD, read_reply, write_verb
from nanny_ops.machine.update_verbs import StageUpdate, UpdateState, UpdateVerb
from nanny_ops.machine.verbs import (
    DescribeHelper,
    HelperAnswer,
    HelperFacts,
    HelperVerb,
    JobState,
    JobVerb,
    KeysLearned,
    LearnKeys,
)

log = logging.getLogger(__name__)
#: Seconds for one verb: a helper may have to be started, and checks signatures and starts a supervisor.
DEADLINE = 120.0
#: Seconds to install a release.
LONG = 1800.0
#: How often a verb is asked, and between which seconds is waited.
TRIES, FIRST, CAP = 4, 0.5, 4.0
#: Spreads waits; nothing secret depends on it.
_spread = random.Random()  # noqa: S311


class HelperSocket:
    """Asks the helper that listens on one unix socket."""

    def __init__(
        self,
        path: Path,
        *,
        deadline: float = DEADLINE,
        tries: int = TRIES,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = _spread.random,
    ) -> None:
        """Name the socket; nothing is opened yet."""
        self._path, self._deadline, self._sleep, self._random = path, deadline, sleep, random
        self._tries = tries

    @overload
    async def do(self, verb: JobVerb) -> JobState: ...

    @overload
    async def do(self, verb: DescribeHelper) -> HelperFacts: ...

    @overload
    async def do(self, verb: LearnKeys) -> KeysLearned: ...

    @overload
    async def do(self, verb: UpdateVerb) -> UpdateState: ...

    @overload
    async def do(self, verb: HelperVerb) -> HelperAnswer: ...

    async def do(self, verb: HelperVerb | UpdateVerb) -> HelperAnswer | UpdateState:
        """Have one verb carried out. Raises VerbRefused, HelperAway, MachineError."""
        frame, wanted = write_verb(verb), ANSWER_TO[type(verb)]
        for attempt in range(self._tries):
            if attempt:
                await self._sleep(delay(attempt - 1, self._random, first=FIRST, cap=CAP))
            try:
                async with asyncio.timeout(LONG if isinstance(verb, StageUpdate) else self._deadline):
                    return _fitting(await self._ask(frame), wanted)
            except (OSError, asyncio.IncompleteReadError) as wrong:  # a timeout is an OSError too
                problem = str(wrong) or type(wrong).__name__
                log.info("event=helper_away verb=%s attempt=%d reason=%r", type(verb).__name__, attempt + 1, problem)
        raise HelperAway(f"The helper on {self._path} cannot be reached: {problem}.")

    async def _ask(self, frame: bytes) -> HelperAnswer | UpdateState:
        reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            writer.write(frame)
            await writer.drain()
            size = HEAD.unpack(await reader.readexactly(HEAD.size))[0]
            if size > ANSWER_CAP:
                raise MachineError(f"The helper's answer has {size} bytes, which is too many.")
            return read_reply(await reader.readexactly(size))
        finally:
            writer.close()


def _fitting(answer: HelperAnswer | UpdateState, wanted: type) -> HelperAnswer | UpdateState:
    if not isinstance(answer, wanted):
        raise MachineError(f"The helper answered with {type(answer).__name__} in the place of {wanted.__name__}.")
    return answer
