"""The device flow's address, and the page on which a person enters the code."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import FileResponse

from nanny_ops.control.api.limit import admit
from nanny_ops.control.api.state import AsAgent, AsPerson, AsSession, Control, Peer, bearer, called_by, person
from nanny_ops.control.services import enrollment as service
from nanny_ops.control.services.limit import DEVICE_DECIDE, DEVICE_START
from nanny_ops.errors import NotFound
from nanny_ops.protocol.enrollment import (
    AgentIdentity,
    Authorize,
    Deny,
    DeviceAuthStart,
    DeviceAuthStarted,
    Refresh,
    Register,
    RegisterWithToken,
    TokenAnswer,
)

router = APIRouter(tags=["enrolment"])
WEB = Path(__file__).parent.parent / "web"
#: The page loads its own script and style and nothing else.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

Command = DeviceAuthStart | Authorize | Deny | Register | RegisterWithToken | Refresh
EXAMPLES: dict[str, Any] = {
    "start": {"value": {"action": "device-auth-start", "hostname": "pve1"}},
    "authorize": {"value": {"action": "authorize", "user_code": "ABCD2345"}},
    "register": {"value": {"action": "register", "device_code": "550e8400-e29b-41d4-a716-446655440000"}},
    "register with a token": {"value": {"action": "register-with-token", "hostname": "pve1", "attempt": "3f6a"}},
    "refresh": {"value": {"action": "refresh", "refresh_token": "nrt_..."}},
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {
        "description": "authorization_pending, slow_down, expired_token, access_denied, invalid_grant or a bad field"
    },
    401: {"description": "authorize and deny need a person's token, register-with-token an enrolment token"},
    403: {"description": "The role does not allow it, the agent was revoked, or the enrolment token is used up"},
    404: {"description": "No agent waits with this user code"},
    409: {"description": "The user code was decided before"},
    429: {"description": "Too many attempts"},
}


@router.post("/api/auth", responses=REFUSALS)
async def command(
    body: Annotated[Command, Body(discriminator="action", openapi_examples=EXAMPLES)],
    request: Request,
    control: Control,
    peer: Peer,
) -> DeviceAuthStarted | TokenAnswer | dict[str, Any]:
    """Do one step of the device flow, enrol by a token, or refresh tokens."""
    called_by(request, None)
    match body:
        case DeviceAuthStart():
            admit(request.scope, control.limits.hit(DEVICE_START, "device-start", peer))
            return await control.database.write(
                lambda tx: service.start(tx, body, peer, control.public_url, control.clock())
            )
        case Authorize() | Deny():
            return await _decide(body, request, control)
        case Register():
            return await _settle(
                control, lambda tx: service.register(tx, body, peer, control.sessions.keyring, control.clock())
            )
        case RegisterWithToken():
            secret = bearer(request.headers.get("authorization"))
            return await control.database.write(
                lambda tx: service.register_with_token(
                    tx, body, secret, peer, control.sessions.keyring, control.clock()
                )
            )
        case Refresh():
            return await _settle(
                control, lambda tx: service.refresh(tx, body, control.sessions.keyring, control.clock())
            )


@router.get("/api/agent-identity")
async def identity(agent: AsAgent, session: AsSession, control: Control) -> AgentIdentity:
    """Tell an agent for whom its token speaks; one with a static token learns everything that way."""
    return await control.database.read(lambda tx: service.identity(tx, agent, session[1].expires))


@router.get("/api/auth/device", responses={404: {"description": "No agent waits with this user code"}})
async def describe(
    request: Request, user_code: Annotated[str, Query(max_length=32)], who: AsPerson, control: Control
) -> dict[str, Any]:
    """Show what a code would let in; everything the machine says of itself is marked as claimed."""
    admit(request.scope, control.limits.hit(DEVICE_DECIDE, "device-decide", who.id))
    return await control.database.read(lambda tx: service.describe(tx, user_code, control.clock()))


@router.get("/device", include_in_schema=False)
async def page() -> FileResponse:
    """Serve the page on which a person signs in and decides."""
    return FileResponse(WEB / "device.html", headers=PAGE_HEADERS)


@router.get("/device/{name}", include_in_schema=False)
async def asset(name: str) -> FileResponse:
    """Serve the page's script and style."""
    if name not in {"device.js", "device.css"}:
        raise NotFound
    return FileResponse(WEB / name, headers=PAGE_HEADERS)


async def _decide(body: Authorize | Deny, request: Request, control: Control) -> dict[str, Any]:
    who = await person(request)
    admit(request.scope, control.limits.hit(DEVICE_DECIDE, "device-decide", who.id))
    allow = isinstance(body, Authorize)
    await control.database.write(lambda tx: service.decide(tx, who, body.user_code, allow=allow, now=control.clock()))
    return {"success": True, "message": "Authorized" if allow else "Denied"}


async def _settle(control: Control, step: Any) -> TokenAnswer:
    outcome: service.Outcome = await control.database.write(step)
    if outcome.refusal is not None:
        raise outcome.refusal
    assert outcome.answer is not None  # noqa: S101  an outcome has one of both
    return outcome.answer
