"""The stream on which a control plane talks to its agents (WHATWG server-sent events)."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import MaxLen, MinLen

INVESTIGATIONS = "investigations"
PATCH_OPERATIONS = "patch_operations"
UPDATE_OPERATIONS = "update_operations"
REBOOT_OPERATIONS = "reboot_operations"
PRUNE_OPERATIONS = "prune_operations"
#: Channels an agent may subscribe to; the first ones are those of the guide, which every control plane has.
GUIDE_CHANNELS = (INVESTIGATIONS, PATCH_OPERATIONS)
CHANNELS = (*GUIDE_CHANNELS, UPDATE_OPERATIONS, REBOOT_OPERATIONS, PRUNE_OPERATIONS)
#: Seconds between two heartbeats, and of silence after which a reader gives a stream up.
HEARTBEAT = 15
SILENCE = 45
#: Milliseconds a client waits before it opens a broken stream again.
RETRY_MS = 5000

Action = Literal["create", "update"]


@dataclass(frozen=True, kw_only=True)
class Connected:
    """The data of the event ``connect``, first on every stream."""

    clientId: str  # noqa: N815  the guide's spelling


@dataclass(frozen=True, kw_only=True)
class Subscribe:
    """Bind a stream to the caller and to channels."""

    clientId: Annotated[str, MinLen(1), MaxLen(128)]  # noqa: N815  the guide's spelling
    subscriptions: Annotated[list[Annotated[str, MaxLen(64)]], MaxLen(16)]


@dataclass(frozen=True, kw_only=True)
class Gap:
    """The data of the event ``gap``: what happened behind ``last_seen`` up to ``resumes_after`` cannot be told again.

    The operations that are open follow, then whatever happens behind ``resumes_after``.
    """

    last_seen: int
    resumes_after: int


@dataclass(frozen=True, kw_only=True)
class RecordEvent:
    """The data of the event ``record``: something was created or has changed."""

    action: Action
    record: dict[str, Any]
