"""What people are told who watch an operation, or a batch, while it goes on: events of the streams ``.../stream``.

Each event names its operation. Its ``id`` holds what its reader has been told of everything on the stream up to then.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import MaxLen

from nanny_ops.protocol.patch_report import MOST_STEPS, Step

#: Names of the events; ``end`` is the last one of a stream that is not opened again, ``closed`` ends one for a reason.
STATUS, STEP, OUTPUT, END, CLOSED = "status", "step", "output", "end", "closed"


@dataclass(frozen=True, kw_only=True)
class JobSteps:
    """All steps of a running job so far, from its agent; one that goes on has the outcome ``running``."""

    steps: Annotated[list[Step], MaxLen(MOST_STEPS)]


@dataclass(frozen=True, kw_only=True)
class WatchStatus:
    """An operation stands elsewhere than before, or for another reason; ``at`` is when it came there, in UTC."""

    operation_id: str
    kind: str
    agent_id: str
    target: str
    status: str
    outcome: str | None = None
    reason: str = ""
    at: str | None = None
    #: Since when nothing was heard of the agent that works on it.
    silent_since: str | None = None


@dataclass(frozen=True, kw_only=True)
class WatchStep:
    """A step of the job has begun (``outcome`` is running) or ended; ``number`` counts the operation's from 1."""

    operation_id: str
    number: int
    name: str
    outcome: str
    reason: str = ""
    started_at: str = ""
    duration_ms: int = 0


@dataclass(frozen=True, kw_only=True)
class WatchOutput:
    """A piece of what a script has printed, without its secrets; ``offset`` counts bytes from the start."""

    operation_id: str
    stream: Literal["stdout", "stderr"]
    offset: int
    text: str


@dataclass(frozen=True, kw_only=True)
class WatchEnd:
    """All has ended and all of it was told."""

    id: str
    #: How many operations came to which outcome.
    summary: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class WatchClosed:
    """The stream ends although what it tells of goes on: the token was revoked, the role was taken away."""

    error: str
    error_description: str
