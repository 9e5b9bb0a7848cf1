"""Whether what lies on the disk is what was verified: the order by its seal, each script by its sum and signatures."""

import hashlib

from nanny_ops.errors import MachineError, ValidationFailed
from nanny_ops.machine.job import seal
from nanny_ops.machine.plan import HookScript, KeySignature
from nanny_ops.machine.signature import verify
from nanny_ops.machine.target import Problem
from nanny_ops.machine.verbs import ScriptJob, VerifySignature
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.signature import KEY_SIZE, SIGNATURE_SIZE, decode, script_message


def forged(job: ScriptJob, wanted: str) -> Problem | None:
    """Say why what was read from the disk must not be run: it is not what was handed over, or not signed as it was."""
    if seal(job) != wanted:
        return Problem(Outcome.CHECKSUM_MISMATCH, "The order on disk is not the one that was verified; it was not run.")
    scripts: list[ScriptJob | HookScript] = [job, *(job.plan.hooks if job.plan else [])]
    for one in scripts:
        if problem := _script_forged(one):
            return problem
    return None


def _script_forged(one: ScriptJob | HookScript) -> Problem | None:
    if hashlib.sha256(one.script).hexdigest() != one.sha256:
        return Problem(Outcome.CHECKSUM_MISMATCH, "The script on disk is not the one that was verified.")
    try:
        good = {mark.public_key for mark in one.signatures if _holds(one, mark)} if one.threshold else set()
    except (MachineError, ValidationFailed) as wrong:
        return Problem(Outcome.SIGNATURE_UNCHECKED, f"{wrong.message} The script was not run.")
    if len(good) >= one.threshold:
        return None
    sentence = f"Just before its start {len(good)} of {one.threshold} signatures of the script held; it was not run."
    return Problem(Outcome.SIGNATURE_INVALID, sentence)


def _holds(one: ScriptJob | HookScript, mark: KeySignature) -> bool:
    key = decode(mark.public_key, KEY_SIZE, "public_key")
    signature = decode(mark.signature, SIGNATURE_SIZE, "signature")
    message = script_message(one.script_id, one.sha256)
    return verify(VerifySignature(public_key=key, message=message, signature=signature)).valid
