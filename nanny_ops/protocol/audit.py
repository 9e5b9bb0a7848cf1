"""What was done by whom, as admins read it."""

from dataclasses import dataclass
from typing import Any, Literal

Actor = Literal["person", "agent", "nobody", "local", "system"]


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One entry of the audit's log; ``nobody`` is who was not signed in, ``local`` a command on the machine itself."""

    seq: int
    at: str
    kind: Actor
    actor: str
    #: An e-mail address or a host name, as it was then.
    name: str
    #: Of the opaque token that was shown, else empty.
    token_id: str
    action: str
    #: What it was done to: the id of an operation, a script, an agent, a token or an account.
    object: str
    team_id: str
    peer: str
    request_id: str
    detail: dict[str, Any]
