"""The agent's only way to touch the machine: verbs in, answers out."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, overload

from nanny_ops.errors import MachineError
from nanny_ops.machine.prune_verbs import PruneState, PruneVerb
from nanny_ops.machine.update_verbs import StageUpdate, TryUpdate, UpdateState, UpdateTried, UpdateVerb
from nanny_ops.machine.verbs import (
    CommandOutput,
    DescribeHost,
    DescribeTracing,
    HelperVerb,
    HostFacts,
    JobPhase,
    JobState,
    JobVerb,
    LookJob,
    MetricsReading,
    ProxmoxReading,
    ReadMetrics,
    ReadProxmox,
    RebootState,
    RebootVerb,
    RunCommand,
    SignatureCheck,
    StartScript,
    TracingFacts,
    Verb,
    VerifySignature,
)

#: Where a job stands that was begun, and has not been forgotten.
_BEGUN = frozenset({JobPhase.RUNNING, JobPhase.DONE, JobPhase.LOST})
#: Seconds one verb may take; reading a large cluster is the longest.
DEADLINE = 240.0
#: Seconds to install a release, and for its self-test.
LONG = 1800.0
#: Verbs about jobs carried out at once; of each kind of reading there is one.
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
    async def do(self, verb: VerifySignature) -> SignatureCheck: ...

    @overload
    async def do(self, verb: JobVerb) -> JobState: ...

    @overload
    async def do(self, verb: RebootVerb) -> RebootState: ...

    @overload
    async def do(self, verb: PruneVerb) -> PruneState: ...

    @overload
    async def do(self, verb: RunCommand) -> CommandOutput: ...

    @overload
    async def do(self, verb: DescribeTracing) -> TracingFacts: ...

    @overload
    async def do(self, verb: UpdateVerb) -> UpdateState: ...

    @overload
    async def do(self, verb: TryUpdate) -> UpdateTried: ...

    async def do(self, verb: Verb | UpdateVerb | TryUpdate) -> Any:
        """Carry out one verb. Raises MachineError."""


class InProcess:
    """Carries out verbs in threads of this process."""

    def __init__(self, perform: Callable[..., Any], *, jobs_dir: Path, deadline: float = DEADLINE) -> None:
        """Take the machine's ``perform(verb, *, jobs_dir)`` and where jobs live."""
        self._perform = partial(perform, jobs_dir=jobs_dir)
        self._deadline = deadline
        self._room = threading.Semaphore(THREADS)
        self._reading = {kind: threading.Lock() for kind in (DescribeHost, ReadMetrics, ReadProxmox)}
        self._closed = False

    async def do(self, verb: Any) -> Any:
        """Carry out one verb. Raises MachineError, also when the deadline passes.

        A thread that hangs, as on a dead disk, cannot be ended. It is a daemon thread, so that the process still can
        end, and while it hangs no second one begins the same reading.
        """
        name, permit = type(verb).__name__, self._reading.get(type(verb))
        if permit is not None and not permit.acquire(blocking=False):
            raise MachineError(f"The last {name} has not ended yet.")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        work = partial(self._work, verb, permit or self._room, permit is None, future)
        threading.Thread(target=work, name=f"hands-{name}", daemon=True).start()
        try:
            async with asyncio.timeout(LONG if isinstance(verb, StageUpdate | TryUpdate) else self._deadline):
                return await future
        except TimeoutError as wrong:
            raise MachineError(f"{name} took longer than {self._deadline:.0f} s.") from wrong

    def close(self) -> None:
        """Begin no further verb; one that is under way is left alone."""
        self._closed = True

    def _work(self, verb: Any, permit: Any, wait: bool, future: asyncio.Future[Any]) -> None:
        if wait:
            permit.acquire()
        try:
            answer, wrong = (None, MachineError("The agent is ending.")) if self._closed else self._try(verb)
        finally:
            permit.release()
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            future.get_loop().call_soon_threadsafe(_settle, future, answer, wrong)

    def _try(self, verb: Any) -> tuple[Any, Exception | None]:
        try:
            return self._perform(verb), None
        except Exception as wrong:  # noqa: BLE001  not handled here: carried over to whoever awaits the answer
            return None, wrong


def _settle(future: asyncio.Future[Any], answer: Any, wrong: Exception | None) -> None:
    if future.done():
        return
    if wrong is not None:
        future.set_exception(wrong)
    else:
        future.set_result(answer)


class Split:
    """Hands of a daemon that is not root: what needs root is for the helper, all else is done in this process.

    A job that was begun in this process before there was a helper is seen to its end here: the helper does not know it.
    """

    def __init__(self, here: InProcess, helper: Callable[[Any], Awaitable[Any]]) -> None:
        """Take the two ways."""
        self._here, self._helper = here, helper

    async def do(self, verb: Any) -> Any:
        """Carry out one verb where it belongs. Raises MachineError."""
        if not isinstance(verb, HelperVerb | UpdateVerb):
            return await self._here.do(verb)
        earlier = await self._earlier(verb) if isinstance(verb, JobVerb) else None
        return await self._helper(verb) if earlier is None else earlier

    async def _earlier(self, verb: JobVerb) -> JobState | None:
        """Do a verb on a job that was begun in this process; None where there is none, or it has not begun."""
        job_id = verb.job.job_id if isinstance(verb, StartScript) else verb.job_id
        look = LookJob(job_id=job_id)
        try:
            state: JobState = await self._here.do(look)
            if state.phase not in _BEGUN:
                return None
            begun: JobState = await self._here.do(look if isinstance(verb, StartScript) else verb)
        except OSError as wrong:
            told = "give its jobs to the agent's user, or end them with an agent that is root"
            raise MachineError(f"A job that was begun without the helper cannot be read ({wrong}); {told}.") from wrong
        return begun

    def close(self) -> None:
        """Begin no further verb in this process."""
        self._here.close()
