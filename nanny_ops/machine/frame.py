"""The helper's verbs and its answers as frames: four bytes of length, big-endian, then msgpack; one each way.

The verbs are a closed list, and a verb is read only from the very bytes that it would be written as: a field more, a
field twice or a number written otherwise is malformed.
"""

import struct
from dataclasses import dataclass
from typing import get_args

import msgspec

from nanny_ops.errors import DiskFull, MachineError, NannyError, ProgramMissing, ProgramTimeout, VerbRefused
from nanny_ops.machine.prune_verbs import PruneState, PruneVerb
from nanny_ops.machine.update_verbs import UpdateState, UpdateVerb
from nanny_ops.machine.verbs import (
    CommandOutput,
    DescribeHelper,
    DescribeTracing,
    HelperAnswer,
    HelperFacts,
    HelperVerb,
    JobState,
    JobVerb,
    KeysLearned,
    LearnKeys,
    RebootState,
    RebootVerb,
    RunCommand,
    TracingFacts,
)

#: Which verbs and answers these are; a helper of another release tells by it that it is one.
PROTOCOL = 3
HEAD = struct.Struct(">I")
#: Bytes of a script, of a verb that may carry one, and of an answer that may tell thousands of packages.
SCRIPT_CAP, VERB_CAP, ANSWER_CAP = 2 * 1024 * 1024, 3 * 1024 * 1024, 16 * 1024 * 1024
#: The closed list, by the names that travel.
VERBS: dict[str, type] = {kind.__name__: kind for kind in (*get_args(HelperVerb), *get_args(UpdateVerb))}
ANSWERS: dict[str, type] = {kind.__name__: kind for kind in (*get_args(HelperAnswer), UpdateState)}
#: Which answer belongs to which verb.
ANSWER_TO: dict[type, type] = {
    **dict.fromkeys(get_args(JobVerb), JobState),
    **dict.fromkeys(get_args(UpdateVerb), UpdateState),
    **dict.fromkeys(get_args(RebootVerb), RebootState),
    **dict.fromkeys(get_args(PruneVerb), PruneState),
    DescribeHelper: HelperFacts,
    LearnKeys: KeysLearned,
    RunCommand: CommandOutput,
    DescribeTracing: TracingFacts,
}
#: Errors that are the same on the other side.
_ERRORS = {kind.code: kind for kind in (DiskFull, MachineError, ProgramMissing, ProgramTimeout)}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer by its name, or an error: its code, its sentence, and for a refusal the order's outcome."""

    kind: str = ""
    body: bytes = b""
    code: str = ""
    message: str = ""
    outcome: str = ""


def write_verb(verb: HelperVerb | UpdateVerb) -> bytes:
    """Return a verb's frame. Raises VerbRefused for one that is too large."""
    return _framed(msgspec.msgpack.encode((type(verb).__name__, verb)), VERB_CAP)


def read_verb(content: bytes) -> HelperVerb | UpdateVerb:
    """Read a verb from a frame's content. Raises VerbRefused for anything else."""
    try:
        name, body = msgspec.msgpack.decode(content, type=tuple[str, msgspec.Raw])
        if name not in VERBS:
            raise VerbRefused(f"{name[:64]!r} is no verb of this helper.")
        verb: HelperVerb | UpdateVerb = msgspec.msgpack.decode(body, type=VERBS[name])
        exact = msgspec.msgpack.encode((name, verb)) == content
    except (msgspec.MsgspecError, RecursionError, ValueError) as wrong:
        raise VerbRefused(f"The verb is malformed: {wrong}") from wrong
    if not exact:
        raise VerbRefused("The verb is malformed: it is not written as it would be here.")
    return verb


def write_reply(answer: HelperAnswer | UpdateState | NannyError) -> bytes:
    """Return an answer's frame."""
    if isinstance(answer, NannyError):
        reply = Reply(code=answer.code, message=answer.message, outcome=str(answer.details.get("outcome", "")))
    else:
        reply = Reply(kind=type(answer).__name__, body=msgspec.msgpack.encode(answer))
    return _framed(msgspec.msgpack.encode(reply), ANSWER_CAP)


def read_reply(content: bytes) -> HelperAnswer | UpdateState:
    """Return the answer, or raise its error: VerbRefused, MachineError and what is below it."""
    try:
        reply = msgspec.msgpack.decode(content, type=Reply)
        known = ANSWERS.get(reply.kind)
        answer: HelperAnswer | None = None if known is None else msgspec.msgpack.decode(reply.body, type=known)
    except (msgspec.MsgspecError, RecursionError) as wrong:
        raise MachineError(f"The helper's answer cannot be read: {wrong}") from wrong
    if reply.code == VerbRefused.code:
        raise VerbRefused(reply.message, outcome=reply.outcome)
    if answer is None:
        said = reply.message or "The helper's answer is of another release; restart nanny-agent and its helper."
        raise _ERRORS.get(reply.code, MachineError)(said)
    return answer


def _framed(content: bytes, cap: int) -> bytes:
    if len(content) > cap:
        raise VerbRefused(f"{len(content)} bytes are too many for one frame of at most {cap}.")
    return HEAD.pack(len(content)) + content
