"""What every edge needs, made once by the app, and how an edge learns who is asking."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, cast

from fastapi import Depends, Request

from nanny_ops.control.api.streams import Streams
from nanny_ops.control.bus import Bus
from nanny_ops.control.playbooks.catalogue import Catalogue
from nanny_ops.control.playbooks.folder import Folders
from nanny_ops.control.services import audit
from nanny_ops.control.services.counts import Counts
from nanny_ops.control.services.duplicate import Replacements
from nanny_ops.control.services.keyring import Claims
from nanny_ops.control.services.limit import Limits
from nanny_ops.control.services.metrics import Readings
from nanny_ops.control.services.principal import HostAgent, Person, Principal
from nanny_ops.control.services.session import Sessions
from nanny_ops.control.services.signing import Signer
from nanny_ops.control.settings import Settings
from nanny_ops.control.store.caller import CALLER
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.output import Outputs
from nanny_ops.errors import Forbidden, TokenMalformed, TokenMissing
from nanny_ops.protocol.clock import now

Phase = Literal["starting", "ready", "draining", "failed"]


@dataclass
class State:
    """The running control plane, as the edges see it."""

    settings: Settings
    database: Database
    sessions: Sessions
    bus: Bus
    streams: Streams
    limits: Limits
    counts: Counts
    signer: Signer
    catalogue: Catalogue
    folders: Folders
    readings: Readings = field(default_factory=Readings)
    replacements: Replacements = field(default_factory=Replacements)
    clock: Callable[[], datetime] = now
    phase: Phase = "starting"

    @property
    def public_url(self) -> str:
        """Return the address that people use, without a slash at its end."""
        return self.settings.address


def state_of(request: Request) -> State:
    """Return the app's state."""
    return cast("State", request.app.state.control)


def outputs_of(state: State) -> Outputs:
    """Return where outputs lie."""
    return Outputs(state.settings.data_dir)


def peer_of(request: Request) -> str:
    """Return the address the request came from."""
    return request.client.host if request.client else "unknown"


def called_by(request: Request, who: Principal | None) -> None:
    """Let whatever this request writes be noted as done by its asker."""
    CALLER.set(audit.caller(who, peer_of(request), getattr(request.state, "request_id", "")))


async def session(request: Request) -> tuple[Principal, Claims]:
    """Return who is asking, with their claims. Raises the errors of a bad Authorization header or token."""
    state = state_of(request)
    principal, claims = await state.sessions.resolve(bearer(request.headers.get("authorization")), state.clock())
    request.state.principal = principal
    called_by(request, principal)
    if isinstance(principal, Person):
        principal.allow_method(request.method)
    return principal, claims


def bearer(header: str | None) -> str:
    """Take the token out of an Authorization header (RFC 6750). Raises TokenMissing or TokenMalformed."""
    if header is None:
        raise TokenMissing
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or " " in token or not token.isascii():
        raise TokenMalformed
    return token


async def principal(request: Request) -> Principal:
    """Return the person or agent who is asking."""
    return (await session(request))[0]


async def person(request: Request) -> Person:
    """Return the person who is asking. Raises Forbidden for an agent."""
    who = await principal(request)
    if not isinstance(who, Person):
        raise Forbidden("This needs a person's token; the token given is an agent's.")
    return who


async def host_agent(request: Request) -> HostAgent:
    """Return the agent that is asking. Raises Forbidden for a person."""
    who = await principal(request)
    if not isinstance(who, HostAgent):
        raise Forbidden("This needs an agent's token; the token given is a person's.")
    return who


# A dependency that is a plain function would be called in a thread, at each request.
async def _control(request: Request) -> State:
    return state_of(request)


async def _peer(request: Request) -> str:
    return peer_of(request)


Control = Annotated[State, Depends(_control)]
AsPerson = Annotated[Person, Depends(person)]
AsAgent = Annotated[HostAgent, Depends(host_agent)]
AsAnyone = Annotated[Principal, Depends(principal)]
AsSession = Annotated[tuple[Principal, Claims], Depends(session)]
Peer = Annotated[str, Depends(_peer)]
