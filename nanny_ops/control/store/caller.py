"""On whose behalf something is written: set where a request comes in, read where the audit's log is written."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """Who asks; ``kind`` is person, agent, nobody (not signed in), local (a command on this machine) or system."""

    kind: str
    id: str = ""
    #: An e-mail address or a host name, as it was then.
    name: str = ""
    #: Of the opaque token that was shown, if one was.
    token_id: str = ""
    peer: str = ""
    request_id: str = ""


SYSTEM = Caller("system")
#: Each request is a task with a context of its own, so one request never sees another's caller.
CALLER: ContextVar[Caller] = ContextVar("caller", default=SYSTEM)
