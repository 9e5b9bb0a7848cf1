"""Signing in and out."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel, Field

from nanny_ops.control.api.limit import admit
from nanny_ops.control.api.state import AsPerson, AsSession, Control, Peer, called_by
from nanny_ops.control.services import token as tokens
from nanny_ops.control.services import user as service
from nanny_ops.control.services.limit import LOGIN
from nanny_ops.control.store import user as users

router = APIRouter(prefix="/api", tags=["people"])


class Credentials(BaseModel):
    """What a person signs in with."""

    email: str = Field(min_length=3, max_length=255, examples=["admin@example.com"])
    password: str = Field(min_length=1, max_length=1024, examples=["a long pass phrase"])


@router.post(
    "/auth/login",
    responses={401: {"description": "Wrong e-mail or password"}, 429: {"description": "Too many attempts"}},
)
async def login(request: Request, credentials: Credentials, control: Control, peer: Peer) -> dict[str, Any]:
    """Sign in with e-mail and password; five attempts a minute per address and per account."""
    began = control.clock()
    user = await _authenticate(request, control, peer, credentials.email, credentials.password)
    token = _session(control, user, began)
    return {
        "access_token": token,
        "token_type": "bearer",
        "user": {"id": user.id, "email": user.email, "name": user.name},
    }


@router.post(
    "/auth/token",
    responses={401: {"description": "Wrong e-mail or password"}, 429: {"description": "Too many attempts"}},
)
async def token(
    request: Request,
    username: Annotated[str, Form(max_length=255)],
    password: Annotated[str, Form(max_length=1024)],
    control: Control,
    peer: Peer,
) -> dict[str, str]:
    """Sign in as OAuth 2.0's password flow does; ``username`` is the e-mail."""
    began = control.clock()
    user = await _authenticate(request, control, peer, username, password)
    return {"access_token": _session(control, user, began), "token_type": "bearer"}


@router.get("/auth/me")
@router.get("/users/me")
async def me(person: AsPerson, control: Control) -> dict[str, Any]:
    """Show the account of the person who asks."""
    user = await control.database.read(lambda tx: users.get(tx, person.id))
    assert user is not None  # noqa: S101  the session has just found it
    return {**service.rendered(user), "roles": dict(person.roles), "is_admin": person.is_admin}


@router.post("/auth/logout")
async def logout(session: AsSession, control: Control) -> dict[str, Any]:
    """Make the token that is sent worthless."""
    who, claims = session
    if who.token_id:
        await control.database.write(lambda tx: tokens.give_back(tx, who.token_id, control.clock()))
    else:
        await control.database.write(lambda tx: service.sign_out(tx, claims, control.clock()))
    control.sessions.forget(who.id)
    return {"message": "Successfully logged out", "success": True}


def _session(control: Control, user: users.User, began: datetime) -> str:
    """Return a token as of when signing in began: a password that was changed while the old one was checked ends it."""
    return control.sessions.keyring.access_token(user.id, "user", began)


async def _authenticate(request: Request, control: Control, peer: str, email: str, password: str) -> users.User:
    admit(request.scope, control.limits.hit(LOGIN, "login-address", peer))
    admit(request.scope, control.limits.hit(LOGIN, "login-account", email.lower()))
    called_by(request, None)
    return await service.authenticate(control.database, email, password, control.clock())
