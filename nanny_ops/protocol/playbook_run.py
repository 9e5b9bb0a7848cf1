"""Runs of playbooks on the control plane: ordered, watched task by task, and what they came to."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

from nanny_ops.protocol.playbook import Origin

#: Longest that a run may take, in seconds, whatever the settings say.
LONGEST = 86_400
#: What is told while a run goes on.
HappeningKind = Literal["play", "task", "host", "no_hosts", "stats"]
HostState = Literal["", "ok", "changed", "failed", "ignored", "unreachable", "skipped"]


class RunStatus(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_RUNS = frozenset({RunStatus.PENDING, RunStatus.RUNNING})


class RunOutcome(StrEnum):
    """What an ended run came to; each is documented in docs/playbooks.md."""

    OK = "ok"
    NOTHING_TO_DO = "nothing_to_do"
    PARTIAL = "partial"
    PLAY_FAILED = "play_failed"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


#: Outcomes that count as success.
GOOD_RUNS = frozenset({RunOutcome.OK, RunOutcome.NOTHING_TO_DO})


@dataclass(frozen=True, kw_only=True)
class NewHost:
    """A host that the fleet does not know yet; ``address`` is an IP address."""

    name: Annotated[str, MinLen(1), MaxLen(253)]
    address: Annotated[str, MinLen(1), MaxLen(64)]


@dataclass(frozen=True, kw_only=True)
class PlaybookRunRequest:
    """An admin orders a run.

    ``limit`` names hosts or groups of the inventory; empty means all of the team's. With ``check`` nothing is changed.
    A run that changes needs a good check of the same before it, or ``no_check_first`` with a ``reason``.
    ``new_hosts`` are the group ``new``; ``host_keys`` are lines of a known_hosts file, believed in this run alone.
    """

    playbook: Annotated[str, MinLen(1), MaxLen(64)]
    vars: Annotated[dict[Annotated[str, MaxLen(128)], Any], MaxLen(100)] = field(default_factory=dict)
    limit: Annotated[list[Annotated[str, MinLen(1), MaxLen(255)]], MaxLen(1000)] = field(default_factory=list)
    new_hosts: Annotated[list[NewHost], MaxLen(1000)] = field(default_factory=list)
    host_keys: Annotated[list[Annotated[str, MaxLen(4096)]], MaxLen(3000)] = field(default_factory=list)
    check: bool = False
    no_check_first: bool = False
    reason: Annotated[str, MaxLen(1024)] = ""
    #: 0 means as long as the playbook or the settings say.
    timeout_seconds: Annotated[int, Ge(0), Le(LONGEST)] = 0
    team_id: Annotated[str, MaxLen(64)] = ""


@dataclass(frozen=True, kw_only=True)
class HostStats:
    """How many tasks of one host came to what, as Ansible's recap counts them."""

    ok: int = 0
    changed: int = 0
    failures: int = 0
    unreachable: int = 0
    skipped: int = 0
    rescued: int = 0
    ignored: int = 0


@dataclass(frozen=True, kw_only=True)
class PlaybookRun:
    """A run as people see it.

    ``checked_by`` is the check before it, ``unchecked_reason`` why there was none. ``events`` counts what is told of
    its tasks, ``left_out`` what was too much to be told.
    """

    id: str
    playbook: str
    origin: Origin
    check: bool
    vars: dict[str, Any]
    limit: list[str]
    new_hosts: list[NewHost] = field(default_factory=list)
    timeout_seconds: int
    status: RunStatus
    outcome: RunOutcome | None
    reason: str
    checked_by: str
    unchecked_reason: str
    hosts: dict[str, HostStats]
    exit_code: int | None
    events: int
    left_out: int
    created_by: str
    created_at: str
    started_at: str | None
    ended_at: str | None
    cancel_requested_at: str | None


@dataclass(frozen=True, kw_only=True)
class PlaybookEvent:
    """One thing that happened in a run: a play or a task begins, or a host has done one.

    ``seconds`` is how long the host took. Of the items of a loop only those that failed are told, in ``message``.
    """

    kind: HappeningKind
    at: str
    play: str = ""
    task: str = ""
    action: str = ""
    host: str = ""
    state: HostState = ""
    message: str = ""
    seconds: float | None = None
