"""Opaque tokens over HTTP: made, listed without their secrets, ended."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Body, Query

from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.state import AsPerson, Control
from nanny_ops.control.services import token as service
from nanny_ops.control.services.principal import Person
from nanny_ops.control.services.token import FLEET, OWN
from nanny_ops.control.store import token as store
from nanny_ops.protocol.token import EnrollmentTokenRequest, Token, TokenIssued, TokenRequest

router = APIRouter(prefix="/api", tags=["tokens"])
FLEET_EXAMPLES: dict[str, Any] = {
    "ten nodes of one rack": {
        "value": {"name": "rack 4", "max_uses": 10, "ranges": ["192.0.2.0/24"], "tags": ["rack4"], "expires_in": 3600}
    }
}
OWN_EXAMPLES: dict[str, Any] = {
    "automation": {"value": {"name": "nightly patches", "scopes": ["read", "patch"], "expires_in": 2592000}},
    "one agent": {"value": {"name": "pve1 without refresh", "kind": "agent", "agent_id": "agent-123"}},
}
MISSING: dict[int | str, dict[str, Any]] = {
    403: {"description": "The role does not allow it"},
    404: {"description": "No such token that you may see"},
}
MADE: dict[int | str, dict[str, Any]] = {
    403: {"description": "The role does not allow it, or a token asks that only a signed-in person may"},
    404: {"description": "No such agent"},
    409: {"description": "The agent is revoked"},
}
Name = Annotated[str, Query(max_length=128, description="Only tokens of this name")]


@dataclass(frozen=True, kw_only=True)
class Fleet(EnrollmentTokenRequest):
    """A token for a fleet; a misspelt field is refused, since a lost range would let anybody in."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True)
class Own(TokenRequest):
    """A token for automation or for an agent; a misspelt field is refused."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@router.post("/enrollment-tokens", status_code=201, responses=MADE)
async def add_enrollment(
    body: Annotated[Fleet, Body(openapi_examples=FLEET_EXAMPLES)], person: AsPerson, control: Control
) -> TokenIssued:
    """Make a token with which machines enrol without a person; its secret is shown this once. Needs operator."""
    made = await control.database.write(lambda tx: service.add_enrollment(tx, person, body, control.clock()))
    return service.issued(made, control.clock())


@router.get("/enrollment-tokens")
async def show_enrollment(person: AsPerson, control: Control, paging: Paging, name: Name = "") -> Listed[Token]:
    """List enrolment tokens of teams in which you are operator, newest first, ended ones too."""
    return await _page(person, control, paging, FLEET, name)


@router.post("/enrollment-tokens/{token_id}/revoke", responses=MISSING)
async def revoke_enrollment(token_id: str, person: AsPerson, control: Control) -> Token:
    """End an enrolment token; machines that came with it stay."""
    return await _revoke(person, control, token_id, FLEET)


@router.post("/tokens", status_code=201, responses=MADE)
async def add(
    body: Annotated[Own, Body(openapi_examples=OWN_EXAMPLES)], person: AsPerson, control: Control
) -> TokenIssued:
    """Make a token of your own for automation, or one that speaks for an agent; its secret is shown this once."""
    made = await control.database.write(lambda tx: service.add(tx, person, body, control.clock()))
    return service.issued(made, control.clock())


@router.get("/tokens")
async def show(person: AsPerson, control: Control, paging: Paging, name: Name = "") -> Listed[Token]:
    """List your own tokens, those of agents where you are operator, and everybody's where you are admin."""
    return await _page(person, control, paging, OWN, name)


@router.post("/tokens/{token_id}/revoke", responses=MISSING)
async def revoke(token_id: str, person: AsPerson, control: Control) -> Token:
    """End a token at once."""
    return await _revoke(person, control, token_id, OWN)


async def _page(person: Person, control: Control, paging: Paging, kinds: tuple[str, ...], name: str) -> Listed[Token]:
    seen = service.visible(person, kinds)
    found, total = await control.database.read(lambda tx: store.page(tx, seen, paging.limit, paging.offset, name))
    return paging.of([service.rendered(token, control.clock()) for token in found], total)


async def _revoke(person: Person, control: Control, token_id: str, kinds: tuple[str, ...]) -> Token:
    ended = await control.database.write(lambda tx: service.revoke(tx, person, token_id, kinds, control.clock()))
    control.sessions.forget(ended.id)
    if ended.agent_id is not None:
        control.streams.close_subject(ended.agent_id)  # one that still has a token comes back at once
    return service.rendered(ended, control.clock())
