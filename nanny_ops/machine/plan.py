"""What a job does around its script: how it protects its target, what it runs before and after, what it looks at."""

from dataclasses import dataclass, field
from typing import Literal

from nanny_ops.protocol.probe import Probe

Protect = Literal["none", "prefer-snapshot", "require-snapshot", "require-backup"]
Rollback = Literal["auto", "never"]
Stage = Literal["pre", "post"]
OnFailure = Literal["must-succeed", "ignore", "always"]


@dataclass(frozen=True, kw_only=True)
class KeySignature:
    """A trusted key and its signature of a script, both in base64."""

    public_key: str
    signature: str


@dataclass(frozen=True, kw_only=True)
class HookScript:
    """One verified script that runs in the target before or after the job's own; the same rules hold for it.

    ``always`` runs a post hook whatever the job came to, and lets its failure pass; ``must-succeed`` before the script
    ends the job before it begins.
    """

    stage: Stage
    script_id: str
    script: bytes
    sha256: str
    argv: list[str] = field(default_factory=list)
    timeout_seconds: int = 300
    on_failure: OnFailure = "must-succeed"
    signatures: list[KeySignature] = field(default_factory=list)
    threshold: int = 0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The procedure of one job; the defaults are that there is none."""

    protect: Protect = "none"
    #: Hours that a backup may be old so that no new one is made; 0 always makes one.
    backup_max_age_hours: int = 24
    #: Storage for a backup on demand; empty means that none is made.
    backup_storage: str = ""
    rollback: Rollback = "auto"
    #: Start a stopped guest for the job, and stop it again after it.
    start_stopped: bool = False
    #: Seconds to wait after the script before the target is looked at.
    bake_seconds: int = 0
    hooks: list[HookScript] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    #: Our own snapshots of this guest that stay after a job that ended well: how many, and for how many hours at most.
    keep_snapshots: int = 1
    keep_snapshot_hours: int = 72
    #: Seconds without a word after which a running script is noted as stalled; 0 never.
    stall_seconds: int = 900
