"""What may be ordered around a patch script: how it upgrades, what protects its target, what is run and asked for.

Every default is the plain order: nothing but the script is run.
"""

from dataclasses import dataclass, field, fields
from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

from nanny_ops.protocol.probe import MOST_PROBES, Probe

Conffiles = Literal["keep", "hold-back"]
Protect = Literal["none", "prefer-snapshot", "require-snapshot", "require-backup"]
Rollback = Literal["auto", "never"]
Stage = Literal["pre", "post"]
OnFailure = Literal["must-succeed", "ignore", "always"]
HoldScope = Literal["fleet", "group", "host", "guest"]
Word = Annotated[str, MaxLen(255)]
Argument = Annotated[str, MaxLen(4096)]
Arguments = Annotated[list[Argument], MaxLen(64)]

#: Seconds that a script waits for the package manager's lock unless the order says otherwise.
DEFAULT_LOCK_TIMEOUT = 300
#: Seconds that a hook may take unless it says otherwise, and that any step may take at most.
HOOK_TIMEOUT, LONGEST_STEP = 300, 86_400
#: Snapshots of ours that stay after an order that ended well, and hours that they stay, where nobody says otherwise.
SNAPSHOT_KEEP, SNAPSHOT_HOURS = 1, 72
#: Hooks of one order, and holds that travel with it, at most.
MOST_HOOKS, MOST_HOLDS = 16, 1000


@dataclass(frozen=True, kw_only=True)
class Hook:
    """A script that is run on the target before or after the patch script, by the same rules.

    ``must-succeed``: its failure ends the order. ``ignore``: its failure is only told. ``always``: it is run whatever
    happened before it, and its failure is only told.
    """

    stage: Stage
    script_id: Annotated[str, MinLen(1), MaxLen(128)]
    #: Filled in by the control plane.
    script_url: Annotated[str, MaxLen(255)] = ""
    args: Arguments = field(default_factory=list)
    timeout_seconds: Annotated[int, Ge(1), Le(LONGEST_STEP)] = HOOK_TIMEOUT
    on_failure: OnFailure = "must-succeed"


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A package that an exception keeps as it is, why, and until when; already merged into ``exclude``."""

    name: Word
    reason: Annotated[str, MaxLen(1024)]
    #: UTC in ISO 8601; empty means for good.
    expires_at: Annotated[str, MaxLen(64)] = ""
    scope: HoldScope = "fleet"


@dataclass(frozen=True, kw_only=True)
class PatchOptions:
    """How an order is to be carried out, beside which packages it is about."""

    dist_upgrade: bool = False
    autoremove: bool = False
    conffiles: Conffiles = "keep"
    repair: bool = False
    lock_timeout_seconds: Annotated[int, Ge(0), Le(LONGEST_STEP)] = DEFAULT_LOCK_TIMEOUT
    protect: Protect = "none"
    #: How old the newest backup may be for ``require-backup`` before one is made; 0 always makes one.
    backup_max_age_hours: Annotated[int, Ge(0), Le(8760)] = 24
    #: Where a backup is made; empty means that none is made, and only one that is there counts.
    backup_storage: Annotated[str, MaxLen(128)] = ""
    rollback: Rollback = "auto"
    #: How many of our snapshots of the target stay after an order that ended well, and for how many hours at most;
    #: None is as the control plane's settings say.
    snapshot_keep: Annotated[int, Ge(0), Le(100)] | None = None
    snapshot_max_age_hours: Annotated[int, Ge(0), Le(8760)] | None = None
    start_stopped: bool = False
    #: Seconds to wait after the script before the target is looked at.
    bake_seconds: Annotated[int, Ge(0), Le(LONGEST_STEP)] = 0
    hooks: Annotated[list[Hook], MaxLen(MOST_HOOKS)] = field(default_factory=list)
    probes: Annotated[list[Probe], MaxLen(MOST_PROBES)] = field(default_factory=list)


#: The names of all options, for those who copy them from one record to another.
OPTIONS = tuple(option.name for option in fields(PatchOptions))


def option_argv(options: PatchOptions) -> list[str]:
    """Return the options of the script itself as single tokens; what is as by default is left out."""
    argv = [
        flag
        for flag, asked in (
            ("--dist-upgrade", options.dist_upgrade),
            ("--autoremove", options.autoremove),
            ("--repair", options.repair),
        )
        if asked
    ]
    if options.conffiles != "keep":
        argv.append(f"--conffiles={options.conffiles}")
    if options.lock_timeout_seconds != DEFAULT_LOCK_TIMEOUT:
        argv.append(f"--lock-timeout={options.lock_timeout_seconds}")
    return argv
