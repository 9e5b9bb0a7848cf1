"""From an order's options to what its job does around the script."""

import hashlib

from nanny_ops.agent.order import Refused
from nanny_ops.agent.script import Scripts
from nanny_ops.machine.plan import HookScript, Plan
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.patch import LONGEST_TIMEOUT, PatchRecord
from nanny_ops.protocol.patch_order import SNAPSHOT_HOURS, SNAPSHOT_KEEP, Hook


async def plan_of(record: PatchRecord, scripts: Scripts, *, target: str, signed: bool) -> Plan | None:
    """Return the plan of an order, None for a dry run with nothing around it. Raises Refused, Unreachable.

    ``signed`` says that scripts are signed here; a command that nobody has signed is no way around that.
    """
    if record.mode == "dry-run" and not record.start_stopped:
        return None
    if signed and any(probe.kind == "command" for probe in record.probes):
        sentence = "Scripts are signed here, and the commands of a probe are not; what they do belongs into a hook."
        raise Refused(Outcome.REFUSED, sentence)
    dry = record.mode == "dry-run"
    keep, hours = record.snapshot_keep, record.snapshot_max_age_hours
    return Plan(
        protect="none" if dry else record.protect,
        backup_max_age_hours=record.backup_max_age_hours,
        backup_storage=record.backup_storage,
        rollback=record.rollback,
        start_stopped=record.start_stopped,
        bake_seconds=0 if dry else record.bake_seconds,
        hooks=[] if dry else [await _hook(hook, record, scripts, target) for hook in record.hooks],
        probes=[] if dry else record.probes,
        keep_snapshots=SNAPSHOT_KEEP if keep is None else keep,
        keep_snapshot_hours=SNAPSHOT_HOURS if hours is None else hours,
    )


async def _hook(hook: Hook, record: PatchRecord, scripts: Scripts, target: str) -> HookScript:
    script = await scripts.fetch(hook.script_id, hook.script_url, mode=record.mode, target=target)
    if any("\0" in word for word in hook.args):
        raise Refused(Outcome.REFUSED, "A hook's arguments hold a NUL character.")
    return HookScript(
        stage=hook.stage,
        script_id=hook.script_id,
        script=script.content,
        sha256=hashlib.sha256(script.content).hexdigest(),
        argv=list(hook.args),
        timeout_seconds=min(max(1, hook.timeout_seconds), LONGEST_TIMEOUT),
        on_failure=hook.on_failure,
        signatures=script.signatures,
        threshold=len(script.signatures),
    )
