"""Patch orders, what travels with them, and what comes back."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

from nanny_ops.protocol.operation import Claim
from nanny_ops.protocol.patch_order import Hold, PatchOptions, option_argv
from nanny_ops.protocol.patch_report import PatchReport

Mode = Literal["dry-run", "apply"]
Identifier = Annotated[str, MinLen(1), MaxLen(128)]
PackageName = Annotated[str, MinLen(1), MaxLen(255)]
PackageNames = Annotated[list[PackageName], MaxLen(1000)]

#: Seconds a script may run unless the order says otherwise, and at most.
DEFAULT_TIMEOUT = 3600
LONGEST_TIMEOUT = 86_400
#: Seconds an order waits for its agent unless it says otherwise.
DEFAULT_EXPIRY = 86_400
#: Bytes of each output stream that are kept; more is cut and marked.
OUTPUT_CAP = 16 * 1024 * 1024
#: The last line of an output that was cut.
TRUNCATION_MARK = "[nanny-ops: output cut here]"


@dataclass(frozen=True, kw_only=True)
class PatchTerms(PatchOptions):
    """What is ordered, whatever it is aimed at."""

    mode: Mode
    script_id: Annotated[str, MaxLen(128)] = ""
    script_args: Annotated[str, MaxLen(4096)] = ""
    exclude: PackageNames = field(default_factory=list)
    only: PackageNames = field(default_factory=list)
    security_only: bool = False
    timeout_seconds: Annotated[int, Ge(1), Le(LONGEST_TIMEOUT)] = DEFAULT_TIMEOUT
    #: UTC in ISO 8601; empty means one day from now.
    expires_at: Annotated[str, MaxLen(64)] = ""


@dataclass(frozen=True, kw_only=True)
class PatchRequest(PatchTerms):
    """What an operator orders."""

    agent_id: Identifier
    lxc_id: Annotated[str, MaxLen(64)] = ""
    vmid: Annotated[str, MaxLen(64)] | int = ""
    #: A dry run of the same target: what it listed is done, by its script and options, and what comes out otherwise is
    #: told in ``differences``.
    as_shown: Annotated[str, MaxLen(128)] = ""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One package that came out otherwise than a dry run has shown it; a version is empty where there is none."""

    name: str
    shown: str = ""
    done: str = ""
    #: another_version, not_shown, not_done, or why it was left, as in a report.
    why: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class PatchRecord(PatchOptions):
    """The order as it travels to the agent: the guide's fields, and ours."""

    id: str
    agent_id: str
    mode: Mode
    script_id: str
    script_url: str
    script_args: str = ""
    lxc_id: str = ""
    vmid: str = ""
    exclude: list[str] = field(default_factory=list)
    only: list[str] = field(default_factory=list)
    security_only: bool = False
    timeout_seconds: int = DEFAULT_TIMEOUT
    expires_at: str = ""
    created_at: str = ""
    status: str = "pending"
    #: ``host``, ``lxc:<vmid>`` or ``qemu:<vmid>``; older control planes do not tell, and know no virtual machines.
    target: str = ""
    #: Why names stand in ``exclude`` that nobody wrote into this order.
    holds: list[Hold] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ScriptDigest:
    """The answer to ``GET /api/patches/{script_id}/sha256``; lower-case hex."""

    sha256: str


@dataclass(frozen=True, kw_only=True)
class PackageChange:
    """One package that would change, or has changed."""

    name: PackageName
    version: Annotated[str, MaxLen(255)] = ""
    old_version: Annotated[str, MaxLen(255)] = ""
    action: Annotated[str, MaxLen(64)] = "upgrade"
    #: None where the distribution does not tell.
    security: bool | None = None
    repository: Annotated[str, MaxLen(255)] = ""
    #: Bytes to download; None where it is not told.
    size: Annotated[int, Ge(0), Le(2**53)] | None = None


@dataclass(frozen=True, kw_only=True)
class ResultMetadata:
    """The ``metadata`` part of uploaded results; ``duration`` in milliseconds."""

    operation_id: Identifier
    success: bool
    duration: Annotated[int, Ge(0), Le(2**53)] = 0
    lxc_id: Annotated[str, MaxLen(64)] = ""
    timestamp: Annotated[str, MaxLen(64)] = ""
    package_list: Annotated[list[PackageChange], MaxLen(50_000)] = field(default_factory=list)
    #: Beside the guide's fields: what it came to, in a word and in a sentence.
    outcome: Annotated[str, MaxLen(64)] = ""
    reason: Annotated[str, MaxLen(4096)] = ""
    exit_code: Annotated[int, Ge(-(2**31)), Le(2**31)] | None = None
    started_at: Annotated[str, MaxLen(64)] = ""
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    #: Who may tell the end of a begun order: the fencing token of its lease, or the claim that the lease was given for.
    lease: Annotated[int, Ge(0), Le(2**31 - 1)] = 0
    claim: Claim = ""
    #: What else is told of the run, by agents that tell it.
    report: PatchReport | None = None
    #: The agent cannot tell whether the script is over: its target stays kept until the script's time is.
    may_run: bool = False


@dataclass(frozen=True, kw_only=True)
class PastEnd:
    """An end that an operation had before a late result told its true one; ``at`` as on the wire."""

    status: str
    outcome: str | None
    reason: str
    at: str


@dataclass(frozen=True, kw_only=True)
class PatchOperation(PatchOptions):
    """An order as people see it: what was asked, where it stands, what it came to; ``duration`` in milliseconds.

    In a list ``package_list`` is None; ``package_count`` tells its length in either, None before there is a result.
    """

    id: str
    agent_id: str
    mode: Mode
    status: str
    outcome: str | None
    reason: str
    #: ``host``, ``lxc:<vmid>`` or ``qemu:<vmid>``.
    target: str
    lxc_id: str
    vmid: str
    script_id: str
    script_url: str
    script_args: str
    exclude: list[str]
    #: Exceptions that hold packages back; their names stand in ``exclude`` too. While it waits those of today, then
    #: those that it began with.
    holds: list[Hold] = field(default_factory=list)
    only: list[str]
    security_only: bool
    timeout_seconds: int
    created_by: str
    #: The dry run whose list it was to do, empty where it was bound to none.
    as_shown: str = ""
    #: Where it did otherwise than shown; None in lists, before the end, without a dry run, or once that is deleted.
    differences: list[Difference] | None = None
    #: With which others it was placed; empty for a single order.
    batch_id: str = ""
    created_at: str
    updated_at: str
    expires_at: str
    delivered_at: str | None
    started_at: str | None
    finished_at: str | None
    #: What an order that has not begun waits for, in a sentence; empty for others.
    waiting_for: str = ""
    #: Since when the agent that runs it has been silent; None while it is heard, or runs nothing.
    silent_since: str | None = None
    #: Until when at the latest its target is kept from other orders; None while it keeps none.
    holds_until: str | None = None
    duration: int | None
    exit_code: int | None
    stdout_truncated: bool
    stderr_truncated: bool
    package_count: int | None
    package_list: list[PackageChange] | None
    history: list[PastEnd]
    #: When what the script printed was deleted because of its age; None while it is kept.
    outputs_dropped_at: str | None = None
    #: What the job told beside its packages; None in lists, and where it told nothing.
    report: PatchReport | None = None


@dataclass(frozen=True, kw_only=True)
class ScriptVersion:
    """One immutable version of a script, without its content."""

    id: str
    name: str
    description: str
    sha256: str
    #: True for one that came with the product.
    shipped: bool
    #: Distribution families for which it is chosen by itself; none for an added script.
    families: list[str]
    created_by: str | None
    created_at: str


@dataclass(frozen=True, kw_only=True)
class ScriptUpload:
    """A script that an operator adds; it runs by its ``#!``."""

    name: Annotated[str, MinLen(1), MaxLen(128)]
    content: Annotated[str, MinLen(1), MaxLen(1024 * 1024)]
    description: Annotated[str, MaxLen(1024)] = ""


def script_argv(record: PatchRecord, extra: list[str]) -> list[str]:
    """Return the arguments of a script call: ``--dry-run`` first, options as single tokens, then ``extra``."""
    argv = ["--dry-run"] if record.mode == "dry-run" else []
    if record.exclude:
        argv.append("--exclude=" + ",".join(record.exclude))
    if record.only:
        argv.append("--only=" + ",".join(record.only))
    if record.security_only:
        argv.append("--security-only")
    return argv + option_argv(record) + extra


Record = dict[str, Any]
