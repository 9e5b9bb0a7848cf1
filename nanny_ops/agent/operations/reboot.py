"""Reboots: begun once, told by the agent that came back, and done only when the target's mark is another one."""

import logging
from datetime import timedelta
from typing import ClassVar
from urllib.parse import quote

from nanny_ops.agent.beginning import never_begun, understood, why_not
from nanny_ops.agent.equipment import Equipment
from nanny_ops.agent.order import Desk, Finding, Order, Refused, State
from nanny_ops.errors import MachineError, ValidationFailed
from nanny_ops.machine.policy import HOST, REBOOT
from nanny_ops.machine.verbs import ForgetReboot, LookReboot, RebootOrder, RebootState, StartReboot
from nanny_ops.protocol.clock import parse_stamp, stamp
from nanny_ops.protocol.operation import Kind, Outcome, parse_guest
from nanny_ops.protocol.reboot import LONGEST_TIMEOUT, REASON_CAP, SHORTEST_TIMEOUT, RebootRecord, RebootResult

log = logging.getLogger(__name__)
#: Seconds between two looks at a target, and looks after which one that was not even asked is given up.
POLL, PATIENCE = 5.0, 12
#: Said of what was begun and has left nothing.
LOST = "The reboot was begun, and nothing is left that tells how it ended."


class Reboot:
    """Carries out reboots of this host and its guests."""

    kind: ClassVar[Kind] = "reboot"
    acknowledged: ClassVar[bool] = True

    def __init__(self, equipment: Equipment) -> None:
        """Take what is needed to work."""
        self._client, self._hands, self._policy = equipment.client, equipment.hands, equipment.policy
        self._now, self._sleep = equipment.now, equipment.sleep

    def target(self, order: Order) -> str:
        """Return what the order is aimed at, as a patch of the same target does. Raises Refused."""
        _kind, vmid = _aim(understood(order, RebootRecord))
        return HOST if vmid is None else str(vmid)

    async def carry_out(self, order: Order, desk: Desk) -> Finding:
        """Have the target rebooted once, or see whether it was.

        Raises Refused, Withdrawn, Deferred, Unreachable, MachineError.
        """
        record = understood(order, RebootRecord)
        state = await self._hands.do(LookReboot(reboot_id=order.id))
        if state.claim and not desk.order.claim:  # begun from here before the spool was lost
            desk.adopt(state.claim)
        if not state.begun:
            await never_begun(order, desk, LOST)
            self._permit(order)
            await desk.begin()
            self._permit(order)  # asking may have taken minutes
            state = await self._begin(record, desk.order.claim)
        if order.state is not State.STARTED:
            desk.started()
        async with desk.held():
            return await self._follow(state)

    def _permit(self, order: Order) -> None:
        forbidden = self._policy.refuses_operation(REBOOT, self.target(order))
        forbidden = forbidden or self._policy.mistimed(self._now(), dry_run=False)
        if forbidden:
            raise Refused(Outcome.REFUSED, forbidden)

    async def _begin(self, record: RebootRecord, claim: str) -> RebootState:
        kind, vmid = _aim(record)
        order = RebootOrder(
            reboot_id=record.id,
            kind=kind,
            vmid=vmid,
            reason=record.reason,
            timeout_seconds=min(max(SHORTEST_TIMEOUT, record.timeout_seconds), LONGEST_TIMEOUT),
            claim=claim,
        )
        try:
            return await self._hands.do(StartReboot(order=order))
        except MachineError as wrong:
            state = await self._hands.do(LookReboot(reboot_id=record.id))
            if state.begun:
                return state
            raise Refused(why_not(wrong), wrong.message) from wrong

    async def _follow(self, state: RebootState) -> Finding:
        """Look until the mark is another one, or the time is over; a host's own reboot ends this process half way."""
        began = parse_stamp(state.begun_at)
        for look in range(int(state.timeout_seconds / POLL) + PATIENCE + 1):
            over = self._now() >= began + timedelta(seconds=state.timeout_seconds)
            if state.proved or state.problem or over or not (state.begun or look < PATIENCE):
                break
            await self._sleep(POLL)
            state = await self._hands.do(LookReboot(reboot_id=state.reboot_id))
        outcome, reason = _judged(state)
        log.info("event=reboot_judged operation=%s outcome=%s reason=%r", state.reboot_id, outcome, reason)
        return Finding(
            outcome=outcome,
            reason=reason,
            started_at=state.begun_at,
            finished_at=stamp(self._now()),
            before=state.before,
            after=state.now,
        )

    async def deliver(self, order: Order, finding: Finding) -> None:
        """Tell what it came to. Raises Rejected, Unreachable."""
        result = RebootResult(
            outcome=finding.outcome,
            reason=finding.reason[:REASON_CAP],
            before=finding.before,
            after=finding.after,
            lease=order.lease,
            claim=order.claim,
        )
        await self._client.request("POST", f"/api/reboots/{quote(order.id, safe='')}/result", body=result)

    async def tidy(self, order_id: str) -> None:
        """Remove what is kept of it. Raises MachineError."""
        await self._hands.do(ForgetReboot(reboot_id=order_id))


def _judged(state: RebootState) -> tuple[Outcome, str]:
    if state.proved:
        return Outcome.OK, f"It runs anew: {_named(state)} is {state.now} and was {state.before}."
    if not state.begun and state.problem:
        return Outcome.BLOCKED, state.problem
    if not state.begun:
        return Outcome.AGENT_ERROR, "The reboot was prepared, and what should ask for it did not begin."
    if state.now == state.before:
        why = state.problem or "Something on it may hold reboots back, as molly-guard or an inhibitor does."
        return Outcome.NOT_REBOOTED, f"It did not reboot: {_named(state)} is still {state.now}. {why}"
    if state.problem:
        return Outcome.NOT_REBOOTED, f"It did not reboot: {state.problem}"
    return Outcome.TARGET_LOST, f"It was asked to reboot and did not come up again within {state.timeout_seconds} s."


def _named(state: RebootState) -> str:
    return "its boot id" if state.kind == HOST else "the start of its first process"


def _aim(record: RebootRecord) -> tuple[str, int | None]:
    try:
        vmid = parse_guest(record.lxc_id, record.vmid)
    except ValidationFailed as wrong:
        raise Refused(Outcome.REFUSED, wrong.message) from wrong
    kind = "host" if vmid is None else "lxc"
    if record.target and record.target != (HOST if vmid is None else f"{record.target.partition(':')[0]}:{vmid}"):
        raise Refused(Outcome.REFUSED, f"The order names two targets, {record.target} and {vmid or HOST}.")
    return (record.target.partition(":")[0] or kind), vmid
