"""The agent's only way to touch the machine: verbs in, answers out."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol, overload

from nanny_ops.errors import MachineError
from nanny_ops.machine.verbs import (
    CancelJob,
    DescribeHost,
    ForgetJob,
    HostFacts,
    JobState,
    LookJob,
    MetricsReading,
    ProxmoxReading,
    ReadMetrics,
    ReadProxmox,
    StartScript,
    Verb,
)

JobVerb = StartScript | LookJob | CancelJob | ForgetJob
#: Seconds one verb may take; reading a large cluster is the longest.
DEADLINE = 240.0
#: Verbs carried out at once.
THREADS = 4


class Hands(Protocol):
    """Carries out verbs, wherever that happens."""

    @overload
    async def do(self, verb: DescribeHost) -> HostFacts: ...

    @overload
    async def do(self, verb: ReadMetrics) -> MetricsReading: ...

    @overload
    async def do(self, verb: ReadProxmox) -> ProxmoxReading: ...

    @overload
    async def do(self, verb: JobVerb) -> JobState: ...

    async def do(self, verb: Verb) -> Any:
        """Carry out one verb. Raises MachineError."""


class InProcess:
    """Carries out verbs in threads of this process."""

    def __init__(self, perform: Callable[..., Any], *, jobs_dir: Path, deadline: float = DEADLINE) -> None:
        """Take the machine's ``perform(verb, *, jobs_dir)`` and where jobs live."""
        self._perform = partial(perform, jobs_dir=jobs_dir)
        self._deadline = deadline
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hands")

    async def do(self, verb: Any) -> Any:
        """Carry out one verb. Raises MachineError, also when the deadline passes."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._deadline):
                return await loop.run_in_executor(self._threads, self._perform, verb)
        except TimeoutError as wrong:
            raise MachineError(f"{type(verb).__name__} took longer than {self._deadline:.0f} s.") from wrong

    def close(self) -> None:
        """Begin no further verb; one that is under way is left to end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
