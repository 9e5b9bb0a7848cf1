"""What a patch job tells beside its list of changes: what was left, how it was protected, watched and restored."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MaxLen

Word = Annotated[str, MaxLen(64)]
Name = Annotated[str, MaxLen(255)]
Path = Annotated[str, MaxLen(4096)]
Sentence = Annotated[str, MaxLen(4096)]
Milliseconds = Annotated[int, Ge(0), Le(2**53)]

#: Most entries of each list of a report.
MOST_LEFT, MOST_PATHS, MOST_STEPS = 10_000, 1_000, 256

#: Where a target was when the job let it go; ``unknown`` where nobody could look.
LeftIn = Literal["", "running", "stopped", "frozen", "gone", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Left:
    """One package that could be upgraded and was not."""

    name: Name
    old_version: Name = ""
    version: Name = ""
    #: held, kept_back, phased, excluded, exception, conffile or not_upgradable.
    why: Word = ""
    #: Of an exception: why the package is held back. The control plane fills it in.
    reason: Sentence = ""


@dataclass(frozen=True, kw_only=True)
class LockHolder:
    """The program that held the package manager's lock until the end; it was left alone."""

    pid: Annotated[int, Ge(0), Le(2**31 - 1)] = 0
    name: Name = ""


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """A transaction of the package manager that something had cut short before; ``repaired`` by this job."""

    what: Sentence = ""
    repaired: bool = False


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a job; ``outcome`` is ok, skipped, failed, cancelled or unknown (cut short), times are UTC."""

    name: Word
    outcome: Word = "ok"
    reason: Sentence = ""
    started_at: Word = ""
    duration_ms: Milliseconds = 0


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """One look at a target; ``healthy`` is None where it could not be told."""

    name: Name
    #: before, after or after_rollback.
    stage: Word = "after"
    healthy: bool | None = None
    reason: Sentence = ""


@dataclass(frozen=True, kw_only=True)
class HookResult:
    """What one hook came to; ``outcome`` as of a step."""

    stage: Literal["pre", "post"]
    script_id: Annotated[str, MaxLen(128)] = ""
    outcome: Word = "ok"
    exit_code: Annotated[int, Ge(-(2**31)), Le(2**31)] | None = None
    reason: Sentence = ""
    #: The end of what it said.
    tail: Annotated[str, MaxLen(8192)] = ""


@dataclass(frozen=True, kw_only=True)
class Protection:
    """What a target could be set back to: a snapshot by name, a backup by volume, or nothing and why.

    A name of the kind ``none`` was asked for, and nobody has seen whether it was made.
    """

    kind: Literal["none", "snapshot", "backup"] = "none"
    name: Path = ""
    #: Whether this job has made it; a backup that was there already counts as well.
    ours: bool = False
    #: Where a backup lies.
    storage: Name = ""
    #: The task that made it, or that failed to.
    upid: Name = ""
    #: When it was made, in UTC.
    made_at: Word = ""
    why_not: Sentence = ""
    #: Whether it is still there after the job.
    kept: bool = True


@dataclass(frozen=True, kw_only=True)
class System:
    """The operating system of a target as its os-release tells it: ``debian``, ``12``, ``Debian GNU/Linux 12``."""

    id: Name = ""
    version: Name = ""
    name: Name = ""
    #: The day after which it gets no more fixes, ISO 8601; empty where it does not tell.
    support_end: Word = ""


@dataclass(frozen=True, kw_only=True)
class PatchReport:
    """All that is told; a field is empty or None where nothing is known of it."""

    left: Annotated[list[Left], MaxLen(MOST_LEFT)] = field(default_factory=list)
    #: Files that a package brought beside an admin's own: ``*.dpkg-dist``, ``*.rpmnew``, ``*.apk-new``, ``*.pacnew``.
    conffiles: Annotated[list[Path], MaxLen(MOST_PATHS)] = field(default_factory=list)
    lock: LockHolder | None = None
    interrupted: Interrupted | None = None
    not_refreshed: Annotated[list[Path], MaxLen(MOST_PATHS)] = field(default_factory=list)
    reboot_required: bool | None = None
    reboot_why: Annotated[list[Name], MaxLen(MOST_PATHS)] = field(default_factory=list)
    services: Annotated[list[Name], MaxLen(MOST_PATHS)] = field(default_factory=list)
    kernel_running: Name = ""
    kernel_newest: Name = ""
    system: System | None = None
    steps: Annotated[list[Step], MaxLen(MOST_STEPS)] = field(default_factory=list)
    probes: Annotated[list[ProbeResult], MaxLen(MOST_STEPS)] = field(default_factory=list)
    hooks: Annotated[list[HookResult], MaxLen(MOST_STEPS)] = field(default_factory=list)
    protection: Protection | None = None
    #: None where nothing had to be rolled back, else whether it was.
    rolled_back: bool | None = None
    #: How the target was before the job, and how the job left it.
    found: LeftIn = ""
    left_in: LeftIn = ""
    #: Snapshots named as ours of which no record is known; they are left alone.
    strays: Annotated[list[Name], MaxLen(MOST_PATHS)] = field(default_factory=list)
    #: Snapshots of ours that this job removed, its own and stale ones.
    removed: Annotated[list[Name], MaxLen(MOST_PATHS)] = field(default_factory=list)
    #: Further remarks, such as a script that was silent for long.
    notes: Annotated[list[Sentence], MaxLen(MOST_STEPS)] = field(default_factory=list)


#: What the entries of a report's lists are, and what stands in its other fields.
LISTED = {"left": Left, "steps": Step, "probes": ProbeResult, "hooks": HookResult}
SINGLE = {"lock": LockHolder, "interrupted": Interrupted, "system": System, "protection": Protection}


def restored(values: Mapping[str, Any]) -> PatchReport:
    """Make a report of its JSON again, from a store or an answer; keys that this release does not know are left out."""
    told = _known(PatchReport, values)
    for name, kind in LISTED.items():
        told[name] = [kind(**_known(kind, one)) for one in told.get(name, ())]
    for name, single in SINGLE.items():
        told[name] = None if told.get(name) is None else single(**_known(single, told[name]))
    return PatchReport(**told)


def _known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in values.items() if name in names}
