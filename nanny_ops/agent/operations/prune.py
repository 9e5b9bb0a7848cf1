"""Removal of snapshots of ours: begun once outside the agent, followed, and told snapshot by snapshot."""

import logging
from typing import ClassVar
from urllib.parse import quote

from nanny_ops.agent.beginning import never_begun, understood, why_not
from nanny_ops.agent.equipment import Equipment
from nanny_ops.agent.order import Desk, Finding, Order, Refused, State
from nanny_ops.errors import MachineError, ValidationFailed
from nanny_ops.machine.policy import PRUNE
from nanny_ops.machine.prune_verbs import ForgetPrune, LookPrune, PruneOrder, PrunePhase, PruneState, StartPrune
from nanny_ops.protocol.clock import stamp
from nanny_ops.protocol.operation import Kind, Outcome, parse_vmid
from nanny_ops.protocol.prune import LONGEST_TIMEOUT, REASON_CAP, SHORTEST_TIMEOUT, PruneRecord, PruneResult

log = logging.getLogger(__name__)
#: Seconds between two looks at a removal, and beyond its own time after which it is given up: the guest is waited for
#: before the first removal, and the last one's task is followed to its end.
POLL, GRACE = 2.0, 900.0
#: Said of what was begun and has left nothing.
LOST = "The removal was begun, and nothing is left that tells how it ended."


class Prune:
    """Carries out removals of snapshots of this node's guests."""

    kind: ClassVar[Kind] = "prune"
    acknowledged: ClassVar[bool] = True

    def __init__(self, equipment: Equipment) -> None:
        """Take what is needed to work."""
        self._client, self._hands, self._policy = equipment.client, equipment.hands, equipment.policy
        self._now, self._sleep = equipment.now, equipment.sleep

    def target(self, order: Order) -> str:
        """Return what the order is aimed at, as a patch of the same guest does. Raises Refused."""
        return str(_vmid(understood(order, PruneRecord)))

    async def carry_out(self, order: Order, desk: Desk) -> Finding:
        """Have the snapshots removed, or see what became of them.

        Raises Refused, Withdrawn, Deferred, Unreachable, MachineError.
        """
        record = understood(order, PruneRecord)
        state = await self._hands.do(LookPrune(prune_id=order.id))
        if state.claim and not desk.order.claim:  # begun from here before the spool was lost
            desk.adopt(state.claim)
        if state.phase is PrunePhase.ABSENT:
            await never_begun(order, desk, LOST)
            self._permit(order)
            await desk.begin()
            self._permit(order)  # asking may have taken minutes
            state = await self._begin(record, desk.order.claim)
        if order.state is not State.STARTED:
            desk.started()
        async with desk.held():
            return await self._follow(record, state)

    def _permit(self, order: Order) -> None:
        forbidden = self._policy.refuses_operation(PRUNE, self.target(order))
        forbidden = forbidden or self._policy.mistimed(self._now(), dry_run=False)
        if forbidden:
            raise Refused(Outcome.REFUSED, forbidden)

    async def _begin(self, record: PruneRecord, claim: str) -> PruneState:
        order = PruneOrder(
            prune_id=record.id,
            kind="qemu" if record.target.startswith("qemu:") else "lxc",
            vmid=_vmid(record),
            snapshots=record.snapshots,
            timeout_seconds=_timeout(record),
            claim=claim,
        )
        try:
            return await self._hands.do(StartPrune(order=order))
        except MachineError as wrong:
            state = await self._hands.do(LookPrune(prune_id=record.id))
            if state.phase is not PrunePhase.ABSENT:
                return state
            raise Refused(why_not(wrong), wrong.message) from wrong

    async def _follow(self, record: PruneRecord, state: PruneState) -> Finding:
        for _ in range(int((_timeout(record) + GRACE) / POLL)):
            if state.phase is not PrunePhase.RUNNING:
                break
            await self._sleep(POLL)
            state = await self._hands.do(LookPrune(prune_id=record.id))
        outcome, reason = _judged(state)
        log.info("event=prune_judged operation=%s outcome=%s reason=%r", record.id, outcome, reason)
        return Finding(
            outcome=outcome,
            reason=reason,
            started_at=state.begun_at,
            finished_at=stamp(self._now()),
            removals=state.removals,
        )

    async def deliver(self, order: Order, finding: Finding) -> None:
        """Tell what it came to. Raises Rejected, Unreachable."""
        result = PruneResult(
            outcome=finding.outcome,
            reason=finding.reason[:REASON_CAP],
            removals=finding.removals,
            lease=order.lease,
            claim=order.claim,
        )
        await self._client.request("POST", f"/api/prunes/{quote(order.id, safe='')}/result", body=result)

    async def tidy(self, order_id: str) -> None:
        """Remove what is kept of it. Raises MachineError."""
        await self._hands.do(ForgetPrune(prune_id=order_id))


def _judged(state: PruneState) -> tuple[Outcome, str]:
    if state.phase is PrunePhase.DONE:
        word = Outcome(state.outcome) if state.outcome in set(Outcome) else Outcome.AGENT_ERROR
        return word, state.reason
    if state.phase is PrunePhase.RUNNING:
        return Outcome.UNKNOWN, "The removal did not come to its end in time; it may still go on."
    return Outcome.UNKNOWN, "The process that removes snapshots was killed again and again; look at what is left."


def _timeout(record: PruneRecord) -> int:
    return min(max(SHORTEST_TIMEOUT, record.timeout_seconds), LONGEST_TIMEOUT)


def _vmid(record: PruneRecord) -> int:
    try:
        found = parse_vmid(record.vmid)
    except ValidationFailed as wrong:
        raise Refused(Outcome.REFUSED, wrong.message) from wrong
    if found is None or record.target not in (f"lxc:{found}", f"qemu:{found}"):
        raise Refused(Outcome.REFUSED, f"The order names no guest, or two: {record.target} and {record.vmid}.")
    return found
