"""Updates of the agent itself: ordered by people, begun by the old version, reported by whichever runs afterwards."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le, MaxLen, MinLen

from nanny_ops.protocol.operation import Claim

#: Seconds that an update may take with its download; a slow line may need hours for one.
DEFAULT_TIMEOUT, SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 6 * 3600, 600, 24 * 3600
#: Characters of an agent's reason.
REASON_CAP = 4096


@dataclass(frozen=True, kw_only=True)
class UpdateRequest:
    """A person wants an agent to run a release; without one the newest, ``force`` also one that has failed there."""

    agent_id: Annotated[str, MinLen(1), MaxLen(64)]
    release_id: Annotated[str, MaxLen(128)] = ""
    force: bool = False
    timeout_seconds: Annotated[int, Ge(SHORTEST_TIMEOUT), Le(LONGEST_TIMEOUT)] = DEFAULT_TIMEOUT
    expires_at: Annotated[str, MaxLen(64)] = ""


@dataclass(frozen=True, kw_only=True)
class UpdateRecord:
    """The order as it travels to the agent."""

    id: str
    agent_id: str
    release_id: str
    version: str
    sha256: str
    size: int
    url: str
    status: str
    force: bool = False
    timeout_seconds: int = DEFAULT_TIMEOUT
    expires_at: str = ""
    created_at: str = ""


@dataclass(frozen=True, kw_only=True)
class UpdateResult:
    """What an update came to; ``version`` is the one that runs and speaks."""

    outcome: Annotated[str, MinLen(1), MaxLen(32)]
    reason: Annotated[str, MaxLen(REASON_CAP)] = ""
    version: Annotated[str, MaxLen(64)] = ""
    lease: Annotated[int, Ge(0), Le(2**31 - 1)] = 0
    claim: Claim = ""


@dataclass(frozen=True, kw_only=True)
class UpdateAnswer:
    """The answer to a result; False in ``new`` says that an earlier one stands."""

    success: bool
    new: bool


@dataclass(frozen=True, kw_only=True)
class Update:
    """An order as people see it; ``running_version`` is what the agent said when it reported."""

    id: str
    agent_id: str
    release_id: str
    version: str
    status: str
    outcome: str | None
    reason: str
    running_version: str
    force: bool
    created_by: str
    created_at: str
    updated_at: str
    expires_at: str
    started_at: str | None
    finished_at: str | None
