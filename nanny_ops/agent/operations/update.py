"""An update order: fetch a release, have it installed beside this version, switch, and tell who runs afterwards.

The old version begins it, and whichever runs after the switch ends it: both share the spool, and the folder of the
trial says how it went.
"""

import asyncio
import logging
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import nanny_ops
from nanny_ops.agent.beginning import understood
from nanny_ops.agent.download import Download
from nanny_ops.agent.equipment import Equipment
from nanny_ops.agent.order import Desk, Finding, Order, Refused, State
from nanny_ops.agent.trust import RELEASE
from nanny_ops.errors import MachineError, VerbRefused
from nanny_ops.machine.policy import HOST, UPDATE
from nanny_ops.machine.update_verbs import (
    EndUpdate,
    LookUpdate,
    StageUpdate,
    SwitchUpdate,
    TryUpdate,
    UpdatePhase,
    UpdateState,
)
from nanny_ops.protocol.operation import Kind, Outcome, Status
from nanny_ops.protocol.update import REASON_CAP, UpdateRecord, UpdateResult

log = logging.getLogger(__name__)
#: What is aimed at; a patch never waits for it.
TARGET = "agent"
#: Seconds between two looks at a version that is on trial, and looks after which it is somebody else's to end it.
POLL, LOOKS = 2.0, 450


class Update:
    """Carries out update orders."""

    kind: ClassVar[Kind] = "update"
    acknowledged: ClassVar[bool] = True

    def __init__(self, equipment: Equipment) -> None:
        """Take what is needed to work."""
        self._client, self._hands, self._policy = equipment.client, equipment.hands, equipment.policy
        self._trust, self._now, self._sleep = equipment.trust, equipment.now, equipment.sleep
        self._ground = equipment.ground

    def target(self, order: Order) -> str:
        """Return the one target of all updates."""
        del order
        return TARGET

    async def carry_out(self, order: Order, desk: Desk) -> Finding:
        """Make the release run, or find out what became of it. Raises Refused, Withdrawn, Deferred, MachineError."""
        record, state = understood(order, UpdateRecord), await self._hands.do(LookUpdate())
        if state.order_id == order.id:
            if not desk.order.claim and state.claim:  # begun from here before the spool was lost
                desk.adopt(state.claim)
            if order.state is not State.STARTED:
                desk.started()
            async with desk.held():
                return await self._see(record, state, desk)
        if order.state is State.STARTED or record.status == Status.RUNNING:
            await _own(order, desk)
        ready = await self._judge(record, state)
        if ready is not None:
            return ready
        await desk.begin()
        async with desk.held():
            state = await self._stage(record, state, desk)
            await self._hands.do(SwitchUpdate(order_id=order.id, claim=desk.order.claim, sha256=record.sha256))
            desk.started()  # not before: the folder of the trial tells of a switch, and without one it can begin anew
            return await self._see(record, state, desk)

    async def _judge(self, record: UpdateRecord, state: UpdateState) -> Finding | None:
        """Refuse what may not begin; a finding means that there is nothing to do."""
        forbidden = self._policy.refuses_operation(UPDATE, HOST) or self._policy.mistimed(self._now(), dry_run=False)
        if forbidden or state.owner:
            raise Refused(Outcome.REFUSED, forbidden or state.owner)
        if state.phase is UpdatePhase.TRIAL:
            raise MachineError("Another version is on trial.")
        if state.installed.get(record.sha256, "") == self._ground.running:
            return Finding(outcome=Outcome.NOTHING_TO_DO, reason=f"Version {record.version} runs already.")
        if record.sha256 in state.failed and not record.force:
            sentence = f"Version {record.version} has failed here before; it is tried again only with --force."
            raise Refused(Outcome.REFUSED, sentence)
        return None

    async def _stage(self, record: UpdateRecord, state: UpdateState, desk: Desk) -> UpdateState:
        signatures = await self._trust.check(record.release_id, record.sha256, RELEASE)
        file = self._archive(record)
        if record.sha256 not in state.installed:
            for old in file.parent.glob("release-*.tar"):
                old.unlink() if old != file else None
            await Download(self._client, now=self._now, sleep=self._sleep).fetch(
                record.url, file, record.size, record.sha256
            )
        order = StageUpdate(
            order_id=record.id,
            claim=desk.order.claim,
            release_id=record.release_id,
            version=record.version,
            sha256=record.sha256,
            path=str(file),
            signatures=signatures,
            threshold=len(signatures),
        )
        try:
            state = await self._hands.do(order)
        except VerbRefused as wrong:
            word = wrong.details.get("outcome")
            raise Refused(Outcome(word) if word in set(Outcome) else Outcome.REFUSED, wrong.message) from wrong
        finally:
            file.unlink(missing_ok=True)
        test = TryUpdate(version=state.installed[record.sha256], words=list(self._ground.words))
        problem = (await self._hands.do(test)).problem
        if problem:
            await self._hands.do(EndUpdate(order_id=record.id, failed=record.sha256))
            raise Refused(Outcome.UPDATE_FAILED, f"The self-test of version {record.version} failed: {problem}")
        return state

    async def _see(self, record: UpdateRecord, state: UpdateState, desk: Desk) -> Finding:
        """Tell what became of a switch; an old version that is still there ends, so that the new one can start."""
        for _ in range(LOOKS):
            state = await self._hands.do(LookUpdate())
            if state.phase is UpdatePhase.CONFIRMED and state.order_id == record.id:
                return Finding(outcome=Outcome.OK, reason=f"Version {record.version} runs.")
            if state.phase is UpdatePhase.RETURNED and state.order_id == record.id:
                return Finding(outcome=Outcome.ROLLED_BACK, reason=state.reason or "The version before is back.")
            if state.order_id != record.id:
                raise Refused(Outcome.UNKNOWN, "Nothing is left that tells what became of the new version.")
            if state.current != state.target:
                await self._hands.do(SwitchUpdate(order_id=record.id, claim=desk.order.claim, sha256=record.sha256))
            elif self._ground.running != state.target:
                log.warning("event=restart operation=%s version=%s", record.id, record.version)
                self._ground.restart()
                await asyncio.Event().wait()  # until this process is told to end
            await self._sleep(POLL)
        raise MachineError("The new version is on trial for a long time.")

    async def deliver(self, order: Order, finding: Finding) -> None:
        """Report what it came to. Raises Rejected, Unreachable."""
        result = UpdateResult(
            outcome=finding.outcome,
            reason=finding.reason[:REASON_CAP],
            version=nanny_ops.__version__,
            lease=order.lease,
            claim=order.claim,
        )
        await self._client.request("POST", f"/api/updates/{quote(order.id, safe='')}/result", body=result)
        if finding.outcome is Outcome.ROLLED_BACK:
            await self._hands.do(EndUpdate(order_id=order.id, failed=str(order.record.get("sha256", ""))))

    async def tidy(self, order_id: str) -> None:
        """Forget the trial. Raises MachineError."""
        await self._hands.do(EndUpdate(order_id=order_id))

    def _archive(self, record: UpdateRecord) -> Path:
        return self._ground.folder / f"release-{record.sha256[:32]}.tar"


async def _own(order: Order, desk: Desk) -> None:
    """Make sure that what is marked as begun was not begun by another machine of this name."""
    if order.state is State.STARTED:
        raise Refused(Outcome.UNKNOWN, "The switch was begun, and nothing is left that tells what became of it.")
    await desk.begin()
