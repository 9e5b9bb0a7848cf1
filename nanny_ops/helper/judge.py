"""Whether a job may be begun: its shape, the owner's policy, and the signatures of its script.

The daemon has judged all this before; it may have been taken over since. Files are read anew for each job, so that what
the owner writes holds at once.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import nanny_ops
from nanny_ops.errors import MachineError, SettingsError, ValidationFailed, VerbRefused
from nanny_ops.helper import owned
from nanny_ops.helper.keyring import Keyring, Verify
from nanny_ops.machine import commands, life, signature
from nanny_ops.machine.frame import PROTOCOL, SCRIPT_CAP
from nanny_ops.machine.plan import HookScript, Plan
from nanny_ops.machine.policy import HOST, INVESTIGATION, MOST_SIGNERS, PRUNE, READING, REBOOT, UPDATE, Policy, report
from nanny_ops.machine.policy import load as load_policy
from nanny_ops.machine.prune_verbs import PruneOrder
from nanny_ops.machine.update_verbs import ConfirmUpdate, EndUpdate, StageUpdate, SwitchUpdate
from nanny_ops.machine.verbs import (
    HelperFacts,
    KeySignature,
    KeysLearned,
    RebootOrder,
    RunCommand,
    ScriptJob,
    VerifySignature,
)
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.patch import LONGEST_TIMEOUT, OUTPUT_CAP
from nanny_ops.protocol.probe import MOST_PROBES
from nanny_ops.protocol.prune import LONGEST_TIMEOUT as LONGEST_PRUNE
from nanny_ops.protocol.prune import MOST_SNAPSHOTS
from nanny_ops.protocol.reboot import LONGEST_TIMEOUT as LONGEST_REBOOT
from nanny_ops.protocol.reboot import SHORTEST_TIMEOUT
from nanny_ops.protocol.release import is_version
from nanny_ops.protocol.signature import KEY_SIZE, SIGNATURE_SIZE, SigningKey, decode, release_message, script_message
from nanny_ops.protocol.snapshot import PREFIX

#: Numbers that Proxmox VE gives to guests.
LEAST_VMID, LARGEST_VMID = 100, 999_999_999
#: Words of an argument list, bytes of one (the kernel takes no longer one) and of all.
MOST_WORDS, LONGEST_WORD, WORDS_CAP = 2200, 128 * 1024 - 1, 384 * 1024
#: Scripts around the script of one job.
MOST_HOOKS = 16
#: Characters of the reason for a reboot.
LONGEST_REASON = 1024
#: The line with which a script says that it changes nothing when its first argument is --dry-run.
DRY_RUN_MARK = b"# nanny-ops: dry-run"
_ID, _CLAIM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"), re.compile(r"[A-Za-z0-9._-]{0,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SNAPSHOT = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{1,34}}")


def check_id(job_id: str) -> None:
    """Refuse what could be anything but the name of one folder. Raises VerbRefused."""
    if not _ID.fullmatch(job_id):
        raise _refusal("A job's id has 1 to 128 letters, digits, '_', '-' and '.', and begins with a letter or digit.")


def check_shape(job: ScriptJob) -> None:
    """Refuse a job that no honest daemon would send. Raises VerbRefused."""
    check_id(job.job_id)
    if not _CLAIM.fullmatch(job.claim):
        raise _refusal("The claim is malformed.")
    if job.vmid is not None and not LEAST_VMID <= job.vmid <= LARGEST_VMID:
        raise _refusal(f"{job.vmid} is no number of a guest.")
    if not 1 <= job.timeout_seconds <= LONGEST_TIMEOUT or not 1 <= job.output_cap <= OUTPUT_CAP:
        raise _refusal("The time limit or the output's limit is out of bounds.")
    if len(job.script) > SCRIPT_CAP:
        raise _refusal(f"A script of {len(job.script)} bytes is too large.")
    if hashlib.sha256(job.script).hexdigest() != job.sha256:
        raise _refusal("The script is not the one that its SHA-256 names.", Outcome.CHECKSUM_MISMATCH)
    _check_words(job.argv)
    if job.dry_run and job.argv[:1] != ["--dry-run"]:
        raise _refusal("A dry run whose first argument is not --dry-run would be none.")
    if job.plan is not None:
        _check_plan(job.plan, job.dry_run)


def _check_plan(plan: Plan, dry_run: bool) -> None:
    """Refuse hooks and probes out of bounds; a dry run changes nothing, so it has none."""
    if len(plan.hooks) > MOST_HOOKS or len(plan.probes) > MOST_PROBES or (dry_run and plan.hooks):
        raise _refusal("The hooks or the probes are too many, or a dry run has hooks.")
    if not 0 <= plan.bake_seconds <= LONGEST_TIMEOUT or plan.backup_max_age_hours < 0:
        raise _refusal("The plan's times are out of bounds.")
    if not re.fullmatch(r"[A-Za-z0-9._-]{0,128}", plan.backup_storage):
        raise _refusal("The backup's storage is malformed.")
    for hook in plan.hooks:
        if len(hook.script) > SCRIPT_CAP or not 1 <= hook.timeout_seconds <= LONGEST_TIMEOUT:
            raise _refusal("A hook is too large, or its time limit is out of bounds.")
        if hashlib.sha256(hook.script).hexdigest() != hook.sha256:
            raise _refusal("A hook is not the one that its SHA-256 names.", Outcome.CHECKSUM_MISMATCH)
        _check_words(hook.argv)
    if any(probe.kind == "command" for probe in plan.probes):
        raise _refusal("Nobody has signed the commands of a probe; what they do belongs into a hook.")


def _check_words(argv: list[str]) -> None:
    sizes = [len(word.encode()) for word in argv]
    if len(sizes) > MOST_WORDS or max(sizes, default=0) > LONGEST_WORD or sum(sizes) > WORDS_CAP:
        raise _refusal("The script's arguments are too long.")
    if any("\0" in word for word in argv):
        raise _refusal("The script's arguments hold a NUL character.")


def _demand_dry(job: ScriptJob) -> None:
    """Refuse to look where nothing may be changed, unless the signed script says that it can. Raises VerbRefused.

    A script that does not know --dry-run would change things, and a guest that is started is changed, too.
    """
    if DRY_RUN_MARK not in job.script.split(b"\n"):
        line = DRY_RUN_MARK.decode()
        raise _refusal(f"The policy lets nothing be changed here now, and this script has no line '{line}'.")
    if job.plan is not None and job.plan.start_stopped:
        raise _refusal("The policy lets nothing be changed here now, so no guest is started for a dry run.")


def check_update(verb: StageUpdate | SwitchUpdate | ConfirmUpdate | EndUpdate) -> None:
    """Refuse what would be kept beside the versions and is of no bounded shape. Raises VerbRefused."""
    check_id(verb.order_id)
    if isinstance(verb, StageUpdate | SwitchUpdate):
        if not _CLAIM.fullmatch(verb.claim):
            raise _refusal("The claim is malformed.")
        if not _SHA256.fullmatch(verb.sha256):
            raise _refusal("The release's SHA-256 is malformed.")
    if isinstance(verb, EndUpdate) and verb.failed and not _SHA256.fullmatch(verb.failed):
        raise _refusal("The SHA-256 of the failed release is malformed.")


def _check_reboot(order: RebootOrder) -> None:
    check_id(order.reboot_id)
    if not _CLAIM.fullmatch(order.claim):
        raise _refusal("The claim is malformed.")
    if order.kind not in (life.HOST, life.LXC, life.QEMU) or (order.kind == life.HOST) != (order.vmid is None):
        raise _refusal("A reboot is of the host, or of a guest that it numbers.")
    if order.vmid is not None and not LEAST_VMID <= order.vmid <= LARGEST_VMID:
        raise _refusal(f"{order.vmid} is no number of a guest.")
    if not SHORTEST_TIMEOUT <= order.timeout_seconds <= LONGEST_REBOOT or len(order.reason) > LONGEST_REASON:
        raise _refusal("The time limit or the reason is out of bounds.")


def _check_prune(order: PruneOrder) -> None:
    check_id(order.prune_id)
    if not _CLAIM.fullmatch(order.claim):
        raise _refusal("The claim is malformed.")
    if order.kind not in (life.LXC, life.QEMU) or not LEAST_VMID <= order.vmid <= LARGEST_VMID:
        raise _refusal("Snapshots are removed of a guest that is numbered.")
    if not 1 <= len(order.snapshots) <= MOST_SNAPSHOTS or not 1 <= order.timeout_seconds <= LONGEST_PRUNE:
        raise _refusal("The snapshots are too many or none, or the time limit is out of bounds.")
    for one in order.snapshots:
        if not _SNAPSHOT.fullmatch(one.name):
            raise _refusal(f"'{one.name[:64]}' is no snapshot of ours.")
        check_id(one.operation_id)


@dataclass(frozen=True)
class Judge:
    """Knows where the owner's files lie, and the time."""

    policy_file: Path
    keyring: Keyring
    now: Callable[[], datetime]
    verify: Verify = signature.verify

    def judge(self, job: ScriptJob) -> ScriptJob:
        """Return the job with the signatures that count here. Raises VerbRefused, with the order's outcome."""
        check_shape(job)
        try:
            policy = self.policy()
            keys = self.keyring.trusted(policy)
        except SettingsError as wrong:
            raise _refusal(wrong.message) from wrong
        target, mode = HOST if job.vmid is None else str(job.vmid), "dry-run" if job.dry_run else "apply"
        hooks = job.plan.hooks if job.plan else []
        for sha256 in (job.sha256, *(hook.sha256 for hook in hooks)):
            if forbidden := policy.refuses(mode=mode, target=target, sha256=sha256):
                raise _refusal(forbidden)
        if late := policy.mistimed(self.now(), dry_run=job.dry_run):
            raise _refusal(late)
        if job.dry_run and (policy.refuses(mode="apply", target=target, sha256=job.sha256) or self._is_closed(policy)):
            _demand_dry(job)
        trusted, most = {key.public_key for key in keys.values()}, policy.threshold
        signed = [replace(one, signatures=self._signed(one, trusted, most), threshold=most) for one in hooks]
        plan = replace(job.plan, hooks=signed) if job.plan else None
        return replace(job, signatures=self._signed(job, trusted, most), threshold=most, plan=plan)

    def _is_closed(self, policy: Policy) -> bool:
        return bool(policy.mistimed(self.now(), dry_run=False))

    def judge_release(self, order: StageUpdate) -> StageUpdate:
        """Return the order with the signatures that count here. Raises VerbRefused, with the order's outcome."""
        check_update(order)
        try:
            policy = self.policy()
            trusted = {key.public_key for key in self.keyring.trusted(policy).values()}
        except SettingsError as wrong:
            raise _refusal(wrong.message) from wrong
        late = policy.refuses_operation(UPDATE, HOST) or policy.mistimed(self.now(), dry_run=False)
        if late:
            raise _refusal(late)
        if not is_version(order.version) or not order.path.startswith("/") or "\0" in order.path:
            raise _refusal("The release's version or file is malformed.")
        message = partial(release_message, order.release_id, order.sha256)
        good = self._counted(order.signatures, message, trusted, policy.threshold)
        return replace(order, signatures=good, threshold=policy.threshold)

    def permit_switch(self, verb: SwitchUpdate) -> None:
        """Refuse a version that the owner does not let begin now, installed or not. Raises VerbRefused."""
        check_update(verb)
        try:
            policy = self.policy()
        except SettingsError as wrong:
            raise _refusal(wrong.message) from wrong
        if forbidden := policy.refuses_operation(UPDATE, HOST) or policy.mistimed(self.now(), dry_run=False):
            raise _refusal(forbidden)

    def policy(self) -> Policy:
        """Return the owner's policy as it is now; without a file only looking is allowed. Raises SettingsError."""
        if not self.policy_file.exists():
            return READING
        owned.demand(self.policy_file)
        return load_policy(str(self.policy_file))

    def permit_reboot(self, order: RebootOrder) -> None:
        """Refuse a reboot that no honest daemon would send, or that the owner forbids now. Raises VerbRefused."""
        _check_reboot(order)
        target = HOST if order.vmid is None else str(order.vmid)
        try:
            policy = self.policy()
        except SettingsError as wrong:
            raise _refusal(wrong.message) from wrong
        if forbidden := policy.refuses_operation(REBOOT, target) or policy.mistimed(self.now(), dry_run=False):
            raise _refusal(forbidden)

    def permit_prune(self, order: PruneOrder) -> None:
        """Refuse a removal that no honest daemon would send, or that the owner forbids now. Raises VerbRefused."""
        _check_prune(order)
        try:
            policy = self.policy()
        except SettingsError as wrong:
            raise _refusal(wrong.message) from wrong
        late = policy.refuses_operation(PRUNE, str(order.vmid)) or policy.mistimed(self.now(), dry_run=False)
        if late:
            raise _refusal(late)

    def permit_command(self, asked: RunCommand) -> None:
        """Refuse a command that the catalogue or the owner's policy does not hold. Raises VerbRefused."""
        commands.argv(asked)
        targets = [HOST if asked.vmid is None else str(asked.vmid)]
        if "vmid" in asked.arguments:  # it looks from the host, but at this guest
            targets.append(asked.arguments["vmid"])
        try:
            policy = self.policy()
            words = [
                policy.refuses_operation(INVESTIGATION, one) or policy.refuses_command(asked.name, one)
                for one in targets
            ]
            forbidden = next(filter(None, words), "")
        except SettingsError as wrong:
            raise _refusal(wrong.message) from wrong
        if forbidden:
            raise _refusal(forbidden)

    def describe(self) -> HelperFacts:
        """Say by what is judged now, and why nothing would be begun if that is so."""
        policy, keys, problem = None, list[str](), ""
        try:
            policy = self.policy()
            keys = sorted(self.keyring.trusted(policy))
            if len(keys) < policy.threshold:
                problem = f"{len(keys)} keys count, and the policy asks for {policy.threshold}."
        except (SettingsError, VerbRefused) as wrong:
            problem = wrong.message
        path = str(self.policy_file) if self.policy_file.exists() else ""
        return HelperFacts(
            version=nanny_ops.__version__,
            protocol=PROTOCOL,
            keys=keys,
            keys_from=self.keyring.source,
            policy=None if policy is None else report(policy, path),
            problem=problem,
        )

    def learn(self, told: Sequence[SigningKey]) -> KeysLearned:
        """Take new keys as far as those that count vouch for them. Raises VerbRefused, MachineError."""
        try:
            return KeysLearned(keys=sorted(self.keyring.learn(told, self.policy())))
        except SettingsError as wrong:
            raise _refusal(wrong.message) from wrong

    def _signed(self, job: ScriptJob | HookScript, trusted: Collection[str], threshold: int) -> list[KeySignature]:
        return self._counted(job.signatures, partial(script_message, job.script_id, job.sha256), trusted, threshold)

    def _counted(
        self, signatures: list[KeySignature], text: Callable[[], bytes], trusted: Collection[str], threshold: int
    ) -> list[KeySignature]:
        good, bad = dict[str, KeySignature](), False
        offered = [one for one in signatures[: 2 * MOST_SIGNERS] if one.public_key in trusted]
        try:
            message = text()
            for one in offered:
                if len(good) >= threshold or one.public_key in good:
                    continue
                if self._holds(one, message):
                    good[one.public_key] = one
                else:
                    bad = True
        except (MachineError, ValidationFailed) as wrong:
            raise _refusal(f"{wrong.message} It was not run.", Outcome.SIGNATURE_UNCHECKED) from wrong
        if len(good) < threshold:
            outcome = Outcome.SIGNATURE_INVALID if bad else Outcome.SIGNATURE_MISSING
            raise _refusal(f"{len(good)} of {threshold} keys that root trusts have signed this.", outcome)
        return list(good.values())

    def _holds(self, one: KeySignature, message: bytes) -> bool:
        key = decode(one.public_key, KEY_SIZE, "public_key")
        made = decode(one.signature, SIGNATURE_SIZE, "signature")
        return self.verify(VerifySignature(public_key=key, message=message, signature=made)).valid


def _refusal(sentence: str, outcome: Outcome = Outcome.REFUSED) -> VerbRefused:
    return VerbRefused(sentence, outcome=outcome.value)
