"""Reboots: ordered by people, acknowledged by the agent, ended by a proof that the target began anew."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le, MaxLen, MinLen

from nanny_ops.protocol.operation import Claim

#: Seconds from the acknowledgement within which a target must have begun anew: the usual time, and the bounds.
DEFAULT_TIMEOUT, SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 300, 30, 3600
#: Characters of an agent's reason that are kept, and that it may send.
REASON_CAP, REASON_SENT = 2000, 65536
#: Characters of a mark that names one life of a target: a boot id, or a start time with it.
MARK_CAP = 128


@dataclass(frozen=True, kw_only=True)
class RebootRequest:
    """A person wants a host or a guest to begin anew; ``reason`` travels to the agent."""

    agent_id: Annotated[str, MinLen(1), MaxLen(64)]
    lxc_id: Annotated[str, MaxLen(64)] = ""
    vmid: Annotated[str, MaxLen(64)] | int = ""
    reason: Annotated[str, MaxLen(1024)] = ""
    timeout_seconds: Annotated[int, Ge(SHORTEST_TIMEOUT), Le(LONGEST_TIMEOUT)] = DEFAULT_TIMEOUT
    expires_at: Annotated[str, MaxLen(64)] = ""


@dataclass(frozen=True, kw_only=True)
class RebootRecord:
    """The order as it travels to the agent; instants are empty until they are known."""

    id: str
    agent_id: str
    lxc_id: str
    vmid: str
    reason: str
    requested_at: str
    status: str
    timeout_seconds: int
    acknowledged_at: str
    completed_at: str
    error_message: str
    #: ``host``, ``lxc:<vmid>`` or ``qemu:<vmid>``.
    target: str = ""
    #: Until when it must have begun.
    expires_at: str = ""


@dataclass(frozen=True, kw_only=True)
class RebootResult:
    """What a reboot came to; two marks that differ prove that the target began anew: ``before`` and ``after``."""

    outcome: Annotated[str, MinLen(1), MaxLen(32)]
    reason: Annotated[str, MaxLen(REASON_CAP)] = ""
    before: Annotated[str, MaxLen(MARK_CAP)] = ""
    after: Annotated[str, MaxLen(MARK_CAP)] = ""
    lease: Annotated[int, Ge(0), Le(2**31 - 1)] = 0
    claim: Claim = ""


@dataclass(frozen=True, kw_only=True)
class RebootResultAnswer:
    """The answer to a result; False in ``new`` says that an earlier one stands."""

    success: bool
    new: bool


@dataclass(frozen=True, kw_only=True)
class RebootFailure:
    """An agent says why it could not reboot the target."""

    error: Annotated[str, MaxLen(REASON_SENT)] = ""


@dataclass(frozen=True, kw_only=True)
class RebootAnswer:
    """The answer to an agent's acknowledgement, and to its word that it failed."""

    success: bool
    message: str


@dataclass(frozen=True, kw_only=True)
class Reboot:
    """An order as people see it: ``reason`` is why it was ordered, ``explanation`` why it stands as it does."""

    id: str
    agent_id: str
    target: str
    lxc_id: str
    vmid: str
    status: str
    outcome: str | None
    reason: str
    explanation: str
    timeout_seconds: int
    created_by: str
    created_at: str
    updated_at: str
    expires_at: str
    acknowledged_at: str | None
    finished_at: str | None
    #: By which marks of its target it was judged, as its agent told; empty where none did.
    before: str = ""
    after: str = ""
