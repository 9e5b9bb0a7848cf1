"""What plays that ran anywhere came to: reported by the collection's callback plugin when they have ended.

Of tasks only those are told that changed something or did not succeed; a change that a check would make is drift. What
a play hides (``no_log``) comes by its name alone.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

#: Hosts and tasks of one report, and letters of a message and of a diff, at most.
MOST_HOSTS, MOST_TASKS, MESSAGE, DIFF = 5000, 2000, 1024, 8192
#: Letters of all messages and diffs of one report at most; the callback plugin stays well below.
MOST_LETTERS = 2_000_000
TaskState = Literal["changed", "failed", "ignored", "unreachable"]
Name = Annotated[str, MaxLen(255)]
Count = Annotated[int, Ge(0), Le(2**31)]
Seconds = Annotated[float, Ge(0), Le(10**7)]


class PlayOutcome(StrEnum):
    """What a play came to, the worst first that holds of any host; each is documented in docs/ansible.md."""

    UNREACHABLE = "unreachable"
    FAILED = "failed"
    CHANGED = "changed"
    OK = "ok"


@dataclass(frozen=True, kw_only=True)
class PlayHost:
    """How many tasks of one host came to what, as Ansible's recap counts them, and how long it worked."""

    ok: Count = 0
    changed: Count = 0
    failures: Count = 0
    unreachable: Count = 0
    skipped: Count = 0
    rescued: Count = 0
    ignored: Count = 0
    seconds: Seconds = 0.0


@dataclass(frozen=True, kw_only=True)
class PlayTask:
    """What one host made of one task; ``hidden`` where the play shows no more than its name."""

    host: Annotated[str, MinLen(1), MaxLen(255)]
    task: Name
    state: TaskState
    play: Name = ""
    action: Name = ""
    seconds: Seconds = 0.0
    hidden: bool = False
    message: Annotated[str, MaxLen(MESSAGE)] = ""
    diff: Annotated[str, MaxLen(DIFF)] = ""


@dataclass(frozen=True, kw_only=True)
class PlayReportRequest:
    """A play that has ended; ``left_out`` counts tasks that were too many to be told."""

    playbook: Annotated[str, MinLen(1), MaxLen(255)]
    check: bool
    started_at: Annotated[str, MaxLen(64)]
    ended_at: Annotated[str, MaxLen(64)]
    hosts: Annotated[dict[Annotated[str, MinLen(1), MaxLen(255)], PlayHost], MaxLen(MOST_HOSTS)]
    tasks: Annotated[list[PlayTask], MaxLen(MOST_TASKS)] = field(default_factory=list)
    left_out: Count = 0
    ansible_version: Annotated[str, MaxLen(64)] = ""
    team_id: Annotated[str, MaxLen(64)] = ""


@dataclass(frozen=True, kw_only=True)
class PlayReport:
    """A report as lists show it; hosts are counted once, by the worst that they came to."""

    id: str
    playbook: str
    check: bool
    outcome: PlayOutcome
    hosts: int
    changed: int
    failed: int
    unreachable: int
    left_out: int
    ansible_version: str
    created_by: str
    created_at: str
    started_at: str
    ended_at: str


@dataclass(frozen=True, kw_only=True)
class PlayReportDetail(PlayReport):
    """One report with what each host did; diffs are for operators."""

    recap: dict[str, PlayHost]
    tasks: list[PlayTask]
