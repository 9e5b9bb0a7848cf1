"""Everything that can go wrong and has a name, on one page.

::

    NannyError
    ├── BadRequest (400)
    │   ├── ValidationFailed (400 to agents, 422 to operators)
    │   ├── UnknownChannel · UnknownAction · NoScriptForTarget · OperationMismatch
    │   └── AuthorizationPending · SlowDown · ExpiredToken · AccessDenied · InvalidGrant      RFC 8628, RFC 6749
    ├── Unauthorized (401): TokenMissing · TokenMalformed · TokenInvalid · TokenExpired · LoginFailed
    ├── Forbidden (403): AgentRevoked
    ├── NotFound (404)
    ├── MethodNotAllowed (405)
    ├── BodyLate (408)
    ├── Conflict (409): Fenced
    ├── TooLarge (413)
    ├── Later (423): TargetBusy · LeaseHeld
    ├── RateLimited (429)
    ├── Internal (500)
    ├── Unavailable (503): NotConfigured
    ├── AgentError (agent side, never an HTTP answer)
    │   ├── NotRegistered · AlreadyRegistered · AlreadyRunning · TokenFileBroken · TrustedKeysBroken · IdentityRefused
    │   └── Unreachable · Rejected · ForeignHost
    └── MachineError (agent side, never an HTTP answer)
        ├── ProgramMissing · ProgramTimeout
        ├── HelperAway · VerbRefused
        ├── ProxmoxError: ProxmoxUnauthorized · ProxmoxForbidden · ProxmoxGone · ProxmoxUnreachable
        │   ├── NoQuorum · GuestLocked · GuestStopped · GuestRunning · SnapshotImpossible · BackupFreezes
        │   ├── TaskFailed: GuestLeftStopped · TaskUnfinished · TaskLost · SnapshotNeeded
        │   └── GuestAgentError: GuestAgentOff · GuestAgentSilent · GuestAgentForbids
        │       └── GuestProgramMissing · GuestProgramLost · GuestProgramUnfinished · GuestFileDamaged
        └── SpoolError: DiskFull
    SettingsError (exit code 2: a person typed something wrong)

A service raises one of these; the HTTP edge renders it, flat for agents and nested for operators. The docstring of a
class is its default message. ``code`` is the agent plane's word, ``operator_code`` the operator plane's.
"""

from nanny_ops.errors.agent import (
    AgentError,
    AlreadyRegistered,
    AlreadyRunning,
    ForeignHost,
    IdentityRefused,
    NotRegistered,
    Rejected,
    TokenFileBroken,
    TrustedKeysBroken,
    Unreachable,
)
from nanny_ops.errors.answer import (
    AccessDenied,
    AgentRevoked,
    AuthorizationPending,
    BadRequest,
    BodyLate,
    Conflict,
    ExpiredToken,
    Fenced,
    Forbidden,
    Internal,
    InvalidGrant,
    Later,
    LeaseHeld,
    LoginFailed,
    MethodNotAllowed,
    NoScriptForTarget,
    NotConfigured,
    NotFound,
    OperationMismatch,
    RateLimited,
    SlowDown,
    TargetBusy,
    TokenExpired,
    TokenInvalid,
    TokenMalformed,
    TokenMissing,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnknownAction,
    UnknownChannel,
    ValidationFailed,
)
from nanny_ops.errors.machine import (
    DiskFull,
    HelperAway,
    MachineError,
    ProgramMissing,
    ProgramTimeout,
    SpoolError,
    VerbRefused,
)
from nanny_ops.errors.proxmox import (
    BackupFreezes,
    GuestAgentError,
    GuestAgentForbids,
    GuestAgentOff,
    GuestAgentSilent,
    GuestFileDamaged,
    GuestLeftStopped,
    GuestLocked,
    GuestProgramLost,
    GuestProgramMissing,
    GuestProgramUnfinished,
    GuestRunning,
    GuestStopped,
    NoQuorum,
    ProxmoxError,
    ProxmoxForbidden,
    ProxmoxGone,
    ProxmoxUnauthorized,
    ProxmoxUnreachable,
    SnapshotImpossible,
    SnapshotNeeded,
    TaskFailed,
    TaskLost,
    TaskUnfinished,
)
from nanny_ops.errors.root import (
    NannyError,
    SettingsError,
)

__all__ = [
    "AccessDenied",
    "AgentError",
    "AgentRevoked",
    "AlreadyRegistered",
    "AlreadyRunning",
    "AuthorizationPending",
    "BackupFreezes",
    "BadRequest",
    "BodyLate",
    "Conflict",
    "DiskFull",
    "ExpiredToken",
    "Fenced",
    "Forbidden",
    "ForeignHost",
    "GuestAgentError",
    "GuestAgentForbids",
    "GuestAgentOff",
    "GuestAgentSilent",
    "GuestFileDamaged",
    "GuestLeftStopped",
    "GuestLocked",
    "GuestProgramLost",
    "GuestProgramMissing",
    "GuestProgramUnfinished",
    "GuestRunning",
    "GuestStopped",
    "HelperAway",
    "IdentityRefused",
    "Internal",
    "InvalidGrant",
    "Later",
    "LeaseHeld",
    "LoginFailed",
    "MachineError",
    "MethodNotAllowed",
    "NannyError",
    "NoQuorum",
    "NoScriptForTarget",
    "NotConfigured",
    "NotFound",
    "NotRegistered",
    "OperationMismatch",
    "ProgramMissing",
    "ProgramTimeout",
    "ProxmoxError",
    "ProxmoxForbidden",
    "ProxmoxGone",
    "ProxmoxUnauthorized",
    "ProxmoxUnreachable",
    "RateLimited",
    "Rejected",
    "SettingsError",
    "SlowDown",
    "SnapshotImpossible",
    "SnapshotNeeded",
    "SpoolError",
    "TargetBusy",
    "TaskFailed",
    "TaskLost",
    "TaskUnfinished",
    "TokenExpired",
    "TokenFileBroken",
    "TokenInvalid",
    "TokenMalformed",
    "TokenMissing",
    "TooLarge",
    "TrustedKeysBroken",
    "Unauthorized",
    "Unavailable",
    "UnknownAction",
    "UnknownChannel",
    "Unreachable",
    "ValidationFailed",
    "VerbRefused",
]
