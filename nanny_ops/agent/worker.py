"""One order after the other per target: write it down, acknowledge it, carry it out once, deliver what it came to."""

import asyncio
import contextlib
import logging
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any

from nanny_ops.agent.desk import Desk, make_claim
from nanny_ops.agent.equipment import Equipment
from nanny_ops.agent.operations import OPERATIONS, Operation
from nanny_ops.agent.order import ENDED, Deferred, Finding, Order, Refused, State, Withdrawn
from nanny_ops.agent.spool import Spool
from nanny_ops.errors import NannyError, Rejected, SpoolError
from nanny_ops.protocol.operation import Kind, Outcome, Status

log = logging.getLogger(__name__)
#: Operations carried out at once, on different targets.
ROOM = 4
#: Surprises after which a begun order is reported as the agent's own failure.
SURPRISES = 5
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
#: Kinds of orders that leave files behind.
_LEAVING = ("patch", "reboot", "prune")
#: Those that may have a running job take their target first after a restart.
_FIRST = (State.STARTED, State.BEGINNING)


class Worker:
    """Takes orders from the link and sees each through to its end, across restarts."""

    def __init__(
        self,
        equipment: Equipment,
        spool: Spool,
        operations: Iterable[type[Operation]] = OPERATIONS,
        *,
        room: int = ROOM,
        make_claim: Callable[[], str] = make_claim,
    ) -> None:
        """Take what orders are carried out with, and where they are kept."""
        self._equipment, self._spool = equipment, spool
        self._operations: dict[str, Operation] = {one.kind: one(equipment) for one in operations}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._cancelled: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._targets: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._surprises: defaultdict[str, int] = defaultdict(int)
        self._room = asyncio.Semaphore(room)
        self._make_claim = make_claim
        #: Set by each word about an order, for one that waits.
        self._nudged: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def submit(self, topic: str, action: str, record: dict[str, Any]) -> None:
        """Take what the control plane said about one order; whatever is not for this agent is logged and left."""
        order = self._read(topic, record)
        if order is None:
            return
        status = str(record.get("status", Status.PENDING))
        if status == Status.CANCELLED:
            self._cancel(order.id)
        elif action == "create" or status in {Status.PENDING, Status.DELIVERED, Status.RUNNING}:
            self._accept(order)

    def resume(self) -> None:
        """Go on with every order that has not reached its end and is not under way."""
        for order in sorted(self._spool.unfinished(), key=lambda one: one.state not in _FIRST):
            self._begin(order.id, self._carry(order.id))

    async def prune(self) -> None:
        """Forget orders that ended long ago, and remove what any left behind whose end was cut short by ours."""
        for order_id in [*self._spool.prune(), *self._spool.ended_lately()]:
            for kind in _LEAVING:
                if kind in self._operations:
                    await self._tidy(self._operations[kind], order_id)

    async def idle(self) -> None:
        """Wait until no order is under way."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def close(self) -> None:
        """Let go of every order; jobs that run go on outside this process."""
        for task in self._tasks.values():
            task.cancel()
        await self.idle()

    def _read(self, topic: str, record: dict[str, Any]) -> Order | None:
        order_id, kind = record.get("id"), kind_of(record)
        if not isinstance(order_id, str) or not _ID.fullmatch(order_id) or kind is None:
            log.warning("event=order_skipped topic=%r reason='not an order this agent knows'", topic)
            return None
        if record.get("agent_id") != self._equipment.agent_id:
            log.warning("event=order_skipped operation=%s reason='meant for another agent'", order_id)
            return None
        return Order(id=order_id, kind=kind, record=record)

    def _accept(self, order: Order) -> None:
        try:
            new = self._spool.accept(order)
            known = None if new else self._spool.find(order.id)
        except SpoolError as wrong:
            log.error("event=order_refused operation=%s reason=%r", order.id, wrong.message)
            self._begin(order.id, self._turn_away(order, wrong))
            return
        if known is not None and known.state in ENDED:
            log.info("event=order_known operation=%s state=%s", order.id, known.state)
            return
        if new:
            log.info("event=order_received operation=%s kind=%s", order.id, order.kind)
        self._begin(order.id, self._carry(order.id))

    def _cancel(self, order_id: str) -> None:
        order = self._spool.find(order_id)
        if order is not None and order.state not in ENDED:
            self._cancelled[order_id].set()
            self._begin(order_id, self._carry(order_id))

    def _begin(self, order_id: str, work: Coroutine[Any, Any, None]) -> None:
        if order_id in self._tasks:
            work.close()
            self._nudged[order_id].set()
            return
        self._tasks[order_id] = asyncio.create_task(self._guard(order_id, work), name=f"order-{order_id}")

    async def _guard(self, order_id: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except NannyError as wrong:
            log.warning("event=order_waits operation=%s reason=%r", order_id, wrong.message)
        except Exception as wrong:
            log.exception("event=order_surprise operation=%s", order_id)
            self._surprise(order_id, wrong)
        finally:
            del self._tasks[order_id]

    def _surprise(self, order_id: str, wrong: Exception) -> None:
        """Count a failure nobody foresaw; a job that may be running is looked for again before it is given up."""
        self._surprises[order_id] += 1
        reason = f"The agent failed: {type(wrong).__name__}: {wrong}"
        try:
            order = self._spool.find(order_id)
            if order is None or order.finding is not None:
                return
            if order.state in {State.RECEIVED, State.ACKED} or self._surprises[order_id] >= SURPRISES:
                self._spool.finish(order_id, Finding(outcome=Outcome.AGENT_ERROR, reason=reason))
        except SpoolError as also:
            log.error("event=not_written operation=%s reason=%r", order_id, also.message)

    async def _carry(self, order_id: str) -> None:
        while True:
            self._nudged[order_id].clear()
            order = self._spool.find(order_id)
            if order is None or order.state in ENDED:
                return
            operation = self._operations[order.kind]
            desk = Desk(order, self._equipment, self._spool, self._cancelled[order_id], self._make_claim)
            try:
                finding = order.finding or await self._come_to(desk, operation)
            except Deferred as later:
                log.info(
                    "event=order_deferred operation=%s seconds=%.0f reason=%r", order_id, later.seconds, str(later)
                )
                await self._pause(order_id, later.seconds)
                continue
            if finding is not None:
                await self._deliver(desk.order, operation, finding)
            return

    async def _pause(self, order_id: str, seconds: float) -> None:
        """Wait, or until there is a word about the order: its target may have come free."""
        waits = [asyncio.ensure_future(one) for one in (self._nudged[order_id].wait(), self._equipment.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
            await asyncio.wait(waits)

    async def _come_to(self, desk: Desk, operation: Operation) -> Finding | None:
        order = desk.order
        try:
            async with self._queued(operation.target(order)) as turn:
                if operation.acknowledged and order.state is State.RECEIVED:
                    await desk.acknowledge()
                    order = replace(order, state=State.ACKED)
                await turn
                async with self._room if operation.acknowledged else contextlib.nullcontext():
                    finding = await operation.carry_out(order, desk)
        except Refused as refusal:
            finding = refusal.finding
        except Withdrawn as withdrawn:
            log.info("event=order_dropped operation=%s reason=%r", order.id, str(withdrawn))
            self._end(order.id, State.DROPPED, str(withdrawn))
            return None
        try:
            self._spool.finish(order.id, finding)
        except SpoolError as wrong:  # the result is delivered from memory; what the job left is still on disk
            log.error("event=result_not_kept operation=%s reason=%r", order.id, wrong.message)
        return finding

    @contextlib.asynccontextmanager
    async def _queued(self, target: str) -> AsyncIterator[Awaitable[object]]:
        """Stand in the queue for a target from now on; the turn that is yielded comes when those before are done.

        The acknowledgement is awaited in the queue and not before it, or a slow answer would change the order of two.
        """
        lock = self._targets[target]
        turn = asyncio.create_task(lock.acquire(), name=f"turn-{target}")
        try:
            yield turn
        finally:
            if not turn.cancel() and not turn.cancelled():
                lock.release()

    async def _deliver(self, order: Order, operation: Operation, finding: Finding) -> None:
        try:
            await operation.deliver(order, finding)
        except Rejected as wrong:
            if wrong.details.get("status") == 401:
                raise
            log.error("event=undeliverable operation=%s reason=%r", order.id, wrong.message)
            self._end(order.id, State.UNDELIVERABLE, wrong.message)
            return
        log.info("event=delivered operation=%s kind=%s outcome=%s", order.id, order.kind, finding.outcome)
        self._end(order.id, State.DELIVERED)
        await self._tidy(operation, order.id)

    def _end(self, order_id: str, state: State, reason: str = "") -> None:
        self._spool.move(order_id, state, reason)
        self._cancelled.pop(order_id, None)
        self._surprises.pop(order_id, None)
        self._nudged.pop(order_id, None)

    async def _tidy(self, operation: Operation, order_id: str) -> None:
        try:
            await operation.tidy(order_id)
        except NannyError as wrong:
            log.warning("event=left_behind operation=%s reason=%r", order_id, wrong.message)

    async def _turn_away(self, order: Order, wrong: SpoolError) -> None:
        """Report an order that could not be written down, and therefore is not carried out."""
        outcome = Outcome.DISK_FULL if wrong.code == "disk_full" else Outcome.AGENT_ERROR
        await self._operations[order.kind].deliver(order, Finding(outcome=outcome, reason=wrong.message))


def kind_of(record: dict[str, Any]) -> Kind | None:
    """Tell the kind of an order by the shape of its record."""
    if "mode" in record and "script_id" in record:
        return "patch"
    if "release_id" in record:
        return "update"
    if "requested_at" in record:
        return "reboot"
    if "snapshots" in record:
        return "prune"
    return "investigation" if "user_prompt" in record else None
