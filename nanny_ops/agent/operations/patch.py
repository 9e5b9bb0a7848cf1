"""A patch order: fetch the script, verify it, have it run once, follow it, hand back what it said."""

import logging
import shlex
from dataclasses import asdict, replace
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import msgspec

from nanny_ops.agent.beginning import never_begun, understood
from nanny_ops.agent.client import Part
from nanny_ops.agent.equipment import Equipment
from nanny_ops.agent.order import Desk, Finding, Order, Refused, State
from nanny_ops.agent.output import OutputFeed
from nanny_ops.agent.plan import plan_of
from nanny_ops.agent.script import Scripts
from nanny_ops.errors import DiskFull, MachineError, Rejected, ValidationFailed, VerbRefused
from nanny_ops.machine.policy import HOST
from nanny_ops.machine.verbs import CancelJob, ForgetJob, JobPhase, JobState, LookJob, ScriptJob, StartScript
from nanny_ops.protocol.clock import stamp
from nanny_ops.protocol.operation import Kind, Outcome, parse_vmid
from nanny_ops.protocol.patch import LONGEST_TIMEOUT, OUTPUT_CAP, PatchRecord, ResultMetadata, script_argv

log = logging.getLogger(__name__)
#: Seconds between two looks at a job.
POLL = 1.0
#: Seconds beyond a script's own timeout after which the agent no longer believes in its supervisor.
GRACE = 900
#: Seconds for the steps around a script but its hooks, and for a backup or snapshot and the way back to it.
STEPS, PROTECTION = 3600, 12 * 3600
#: Looks after which a job that has not begun is given up, to be begun again.
PATIENCE = 30
#: Bytes of each output that are sent after the whole was too large for the control plane.
SHORT = 256 * 1024
REASON_CAP, PACKAGES_CAP = 4096, 50_000

#: Refusals that a smaller result may escape.
_TRIMMABLE = frozenset({400, 413, 422})
_OVER = frozenset({JobPhase.DONE, JobPhase.LOST, JobPhase.ABSENT})
#: Said of what was begun and has left nothing.
LOST = "The script was begun, and nothing is left that tells how it ended."


class Patch:
    """Carries out patch orders."""

    kind: ClassVar[Kind] = "patch"
    acknowledged: ClassVar[bool] = True

    def __init__(self, equipment: Equipment) -> None:
        """Take what is needed to work."""
        self._client, self._hands, self._policy = equipment.client, equipment.hands, equipment.policy
        self._now, self._sleep = equipment.now, equipment.sleep
        self._scripts = Scripts(equipment.client, equipment.trust, equipment.policy)

    def target(self, order: Order) -> str:
        """Return what the order is aimed at; two orders never run on one target at a time. Raises Refused."""
        vmid = _vmid(understood(order, PatchRecord))
        return HOST if vmid is None else str(vmid)

    async def carry_out(self, order: Order, desk: Desk) -> Finding:
        """Run the script once, or find the run again.

        Raises Refused, Withdrawn, Deferred, Unreachable, MachineError.
        """
        state = await self._hands.do(LookJob(job_id=order.id))
        if state.claim and not desk.order.claim:  # begun from here before the spool was lost
            desk.adopt(state.claim)
        if state.phase in {JobPhase.ABSENT, JobPhase.READY}:
            if state.phase is JobPhase.ABSENT:
                await never_begun(order, desk, LOST, may_run=True)
            job = await self._prepare(order)
            await desk.begin()
            self._in_time(understood(order, PatchRecord))  # asking may have taken minutes
            told = desk.order  # the answer may have named other exclusions than the order came with
            state = await self._start(replace(job, claim=told.claim, argv=_argv(understood(told, PatchRecord))))
        if order.state is not State.STARTED:
            desk.started()
        async with desk.held():
            return await self._follow(understood(order, PatchRecord), state, desk)

    async def _prepare(self, order: Order) -> ScriptJob:
        record = understood(order, PatchRecord)
        argv, target = _argv(record), self.target(order)
        self._in_time(record)
        script = await self._scripts.fetch(record.script_id, record.script_url, mode=record.mode, target=target)
        plan = await plan_of(record, self._scripts, target=target, signed=bool(script.signatures))
        return ScriptJob(
            job_id=order.id,
            vmid=_vmid(record),
            script=script.content,
            sha256=script.sha256,
            argv=argv,
            timeout_seconds=_timeout(record),
            dry_run=record.mode == "dry-run",
            output_cap=OUTPUT_CAP,
            script_id=record.script_id,
            signatures=script.signatures,
            threshold=len(script.signatures),
            plan=plan,
            guest="qemu" if record.target.startswith("qemu:") else "lxc",
        )

    def _in_time(self, record: PatchRecord) -> None:
        """Refuse what may not begin now; it does not wait: nobody expects it to begin by itself some hours later."""
        late = self._policy.mistimed(self._now(), dry_run=record.mode == "dry-run")
        if late:
            raise Refused(Outcome.REFUSED, late)

    async def _start(self, job: ScriptJob) -> JobState:
        try:
            return await self._hands.do(StartScript(job=job))
        except MachineError as wrong:
            state = await self._hands.do(LookJob(job_id=job.job_id))
            if state.phase is not JobPhase.ABSENT:
                return state
            raise Refused(_why_not(wrong), wrong.message) from wrong

    async def _follow(self, record: PatchRecord, state: JobState, desk: Desk) -> Finding:
        feed, told_to_stop = OutputFeed(self._client, record.id), False
        for look in range(int((_timeout(record) + _around(record) + GRACE) / POLL)):
            if state.phase in _OVER:
                return _finding(state)
            if state.phase is JobPhase.READY and look > PATIENCE:
                raise MachineError("The job was prepared and did not begin.")
            if not told_to_stop and desk.cancelled.is_set():
                told_to_stop = True
                log.info("event=cancel operation=%s", record.id)
                await self._hands.do(CancelJob(job_id=record.id))
            await feed.push(state.stdout_path, state.stderr_path, state.steps)
            await desk.remark(state.remark)
            await self._sleep(POLL)
            state = await self._hands.do(LookJob(job_id=record.id))
        return Finding(outcome=Outcome.UNKNOWN, reason="The script did not end in time and could not be ended.")

    async def deliver(self, order: Order, finding: Finding) -> None:
        """Upload the result; what is too large is sent in part. Raises Rejected, Unreachable.

        A result that is still refused, be it by a proxy with a smaller limit, arrives without its outputs and packages:
        what the order came to is never lost over them.
        """
        try:
            await self._upload(order, finding, cap=0)
        except Rejected as wrong:
            if wrong.details.get("status") not in _TRIMMABLE:
                raise
            log.warning("event=result_trimmed operation=%s reason=%r", order.id, wrong.message)
        else:
            return
        try:
            await self._upload(order, finding, cap=SHORT)
        except Rejected as wrong:
            if wrong.details.get("status") not in _TRIMMABLE:
                raise
            await self._upload(order, _bare(finding, wrong), cap=SHORT)

    async def _upload(self, order: Order, finding: Finding, *, cap: int) -> None:
        metadata = msgspec.json.encode(self._metadata(order, finding, cut=bool(cap)))
        parts = [Part("metadata", metadata, "application/json")]
        for name, path in (("stdout", finding.stdout_path), ("stderr", finding.stderr_path)):
            parts.append(Part(name, Path(path) if path else b"", "text/plain", f"{name}.txt", cap))
        await self._client.request("POST", f"/api/patches/{quote(order.id, safe='')}/results", parts=parts)

    def _metadata(self, order: Order, finding: Finding, *, cut: bool) -> ResultMetadata:
        return ResultMetadata(
            operation_id=order.id,
            success=finding.success,
            duration=finding.duration,
            lxc_id=str(order.record.get("lxc_id") or order.record.get("vmid") or "")[:64],
            timestamp=finding.finished_at or stamp(self._now()),
            package_list=finding.packages[:PACKAGES_CAP],
            outcome=finding.outcome,
            reason=finding.reason[:REASON_CAP],
            exit_code=finding.exit_code,
            started_at=finding.started_at,
            stdout_truncated=finding.stdout_truncated or cut,
            stderr_truncated=finding.stderr_truncated or cut,
            lease=order.lease,
            claim=order.claim,
            report=finding.report,
            may_run=finding.may_run,
        )

    async def tidy(self, order_id: str) -> None:
        """Remove what the run left behind. Raises MachineError."""
        await self._hands.do(ForgetJob(job_id=order_id))


def _around(record: PatchRecord) -> int:
    """Return the seconds that a job may take around its script, at most."""
    if record.mode == "dry-run" and not record.start_stopped:
        return 0
    protection = PROTECTION if record.protect != "none" else 0
    return record.bake_seconds + sum(hook.timeout_seconds for hook in record.hooks) + STEPS + protection


def _timeout(record: PatchRecord) -> int:
    return min(max(1, record.timeout_seconds), LONGEST_TIMEOUT)


def _bare(finding: Finding, wrong: Rejected) -> Finding:
    lost = f" [{len(finding.packages)} packages and the outputs were refused: {wrong.message[:300]}]"
    reason = finding.reason[: REASON_CAP - len(lost)] + lost
    return replace(finding, reason=reason, packages=[], report=None, stdout_path="", stderr_path="")


def _vmid(record: PatchRecord) -> int | None:
    try:
        by_lxc, by_vmid = parse_vmid(record.lxc_id), parse_vmid(record.vmid)
    except ValidationFailed as wrong:
        raise Refused(Outcome.REFUSED, wrong.message) from wrong
    if by_lxc is not None and by_vmid is not None and by_lxc != by_vmid:
        raise Refused(Outcome.REFUSED, f"The order names two guests, {record.lxc_id} and {record.vmid}.")
    return by_lxc if by_lxc is not None else by_vmid


def _argv(record: PatchRecord) -> list[str]:
    try:
        argv = script_argv(record, shlex.split(record.script_args))
    except ValueError as wrong:
        raise Refused(Outcome.REFUSED, f"The script's arguments cannot be split into words: {wrong}.") from wrong
    if any("\0" in word for word in argv):
        raise Refused(Outcome.REFUSED, "The script's arguments hold a NUL character.")
    return argv


def _why_not(wrong: MachineError) -> Outcome:
    """Return the word for a job that was not begun; who refused it has chosen one."""
    if isinstance(wrong, VerbRefused):
        word = wrong.details.get("outcome")
        return Outcome(word) if word in set(Outcome) else Outcome.REFUSED
    return Outcome.DISK_FULL if isinstance(wrong, DiskFull) else Outcome.AGENT_ERROR


def _finding(state: JobState) -> Finding:
    result = state.result
    if state.phase is not JobPhase.DONE or result is None:
        return Finding(
            outcome=Outcome.UNKNOWN,
            reason="The script was begun and then lost, as by a restart of the machine; it was not run again.",
            stdout_path=state.stdout_path,
            stderr_path=state.stderr_path,
        )
    values = asdict(result)
    values["duration"] = values.pop("duration_ms")
    values["packages"], values["report"] = result.packages, result.report
    values["outcome"] = Outcome(result.outcome) if result.outcome in set(Outcome) else Outcome.AGENT_ERROR
    return Finding(**values, stdout_path=state.stdout_path, stderr_path=state.stderr_path)
