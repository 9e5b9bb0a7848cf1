"""People's accounts, for admins."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Body, Query, Request, Response

from nanny_ops.control.api.limit import admit
from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.state import AsPerson, Control, State
from nanny_ops.control.services import account as service
from nanny_ops.control.services import user as people
from nanny_ops.control.services.limit import LOGIN
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import user as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.user import User as Row
from nanny_ops.errors import Forbidden, NotFound
from nanny_ops.protocol.user import NewPassword, PasswordAnswer, User, UserChange, UserRequest

router = APIRouter(prefix="/api/users", tags=["people"])
EXAMPLES: dict[str, Any] = {
    "an operator": {"value": {"email": "op@example.com", "role": "operator", "password": "a long pass phrase"}}
}
CHANGES: dict[str, Any] = {
    "another role": {"value": {"role": "viewer"}},
    "may not sign in": {"value": {"disabled": True}},
}
ALLOWED: dict[int | str, dict[str, Any]] = {403: {"description": "Only admins, with a token of the scope admin"}}
MISSING: dict[int | str, dict[str, Any]] = {**ALLOWED, 404: {"description": "No such account or team"}}
SPARED: dict[int | str, dict[str, Any]] = {
    **MISSING,
    409: {"description": "It is your own account, or the only admin of the installation"},
}
MADE: dict[int | str, dict[str, Any]] = {**MISSING, 409: {"description": "There is an account for this address"}}


@dataclass(frozen=True, kw_only=True)
class Asked(UserRequest):
    """An account to make; a misspelt field is refused."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True)
class Wanted(UserChange):
    """What is to be otherwise; a misspelt field is refused."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True)
class Given(NewPassword):
    """A new password; a misspelt field is refused."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@router.get("", responses=ALLOWED)
async def show(
    person: AsPerson,
    control: Control,
    paging: Paging,
    email: Annotated[str, Query(max_length=255, description="Only the account of this address")] = "",
) -> Listed[User]:
    """List accounts by address: an admin of the installation sees all, one of a team those of that team alone."""
    teams = service.reach(person)

    def look(tx: Tx) -> tuple[list[User], int]:
        found, total = store.page(tx, teams, paging.limit, paging.offset, email)
        return [service.rendered(tx, one) for one in found], total

    return paging.of(*await control.database.read(look))


@router.post("", status_code=201, responses=MADE)
async def add(
    body: Annotated[Asked, Body(openapi_examples=EXAMPLES)], person: AsPerson, control: Control, response: Response
) -> User:
    """Make an account; needs the role admin."""
    service.reach(person)
    hashed = await asyncio.to_thread(people.hash_password, body.password)
    made = await control.database.write(
        lambda tx: service.rendered(tx, service.add(tx, person, body, hashed, control.clock()))
    )
    response.headers["Location"] = f"/api/users/{made.id}"
    return made


@router.get("/{user_id}", responses=MISSING)
async def get(user_id: str, person: AsPerson, control: Control) -> User:
    """Show one account."""
    return await control.database.read(lambda tx: service.rendered(tx, service.visible(tx, person, user_id)))


@router.patch("/{user_id}", responses=SPARED)
async def change(
    user_id: str, body: Annotated[Wanted, Body(openapi_examples=CHANGES)], person: AsPerson, control: Control
) -> User:
    """Give another role or name, close an account or open it again; idempotent."""

    def step(tx: Tx) -> tuple[User, bool]:
        found, changed = service.change(tx, person, user_id, body, control.clock())
        return service.rendered(tx, found), changed

    found, changed = await control.database.write(step)
    if changed:
        _rights_changed(control, found.id)
    return found


@router.put("/{user_id}/password", responses={**MISSING, 429: {"description": "Too many attempts"}})
async def set_password(
    request: Request, user_id: str, body: Given, person: AsPerson, control: Control
) -> PasswordAnswer:
    """Give an account another password; all who were signed in to it must sign in again.

    One's own needs the ``current`` one and no role. The password that is there already changes nothing.
    """
    user = await control.database.read(lambda tx: _meant(tx, person, user_id))
    if user.id == person.id:
        admit(request.scope, control.limits.hit(LOGIN, "login-account", user.email))
        if person.scopes is not None or not await asyncio.to_thread(
            people.is_password, user.password_hash, body.current
        ):
            raise Forbidden("The current password is wrong.")
    if await asyncio.to_thread(people.is_password, user.password_hash, body.password):
        return PasswordAnswer(changed=False)
    hashed = await asyncio.to_thread(people.hash_password, body.password)
    await control.database.write(lambda tx: service.set_password(tx, person, user.id, hashed, control.clock()))
    _rights_changed(control, user.id)
    return PasswordAnswer(changed=True)


@router.delete("/{user_id}", responses=SPARED)
async def remove(user_id: str, person: AsPerson, control: Control) -> User:
    """Remove an account with its tokens of automation; what it did stays in the audit."""

    def step(tx: Tx) -> User:
        shown = service.rendered(tx, service.visible(tx, person, user_id))
        service.remove(tx, person, user_id, control.clock())
        return shown

    removed = await control.database.write(step)
    _rights_changed(control, removed.id)
    return removed


def _meant(tx: Tx, person: Person, user_id: str) -> Row:
    if user_id != person.id:
        return service.visible(tx, person, user_id)
    own = store.get(tx, person.id)
    if own is None:
        raise NotFound("There is no such account any more.")
    return own


def _rights_changed(control: State, user_id: str) -> None:
    control.sessions.forget(user_id)
    control.streams.close_owner(user_id)
