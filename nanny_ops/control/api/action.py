"""``POST /api/agent`` with an ``action``: how agents from before the guide enrol, report and are asked about.

Each action is translated to what the guide's addresses do, and refused in words that these agents understand.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar, cast

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked
from pydantic_core import from_json

from nanny_ops.control.api import agent as agent_edge
from nanny_ops.control.api import enrollment
from nanny_ops.control.api.problem import flat, from_validation
from nanny_ops.control.api.state import State, host_agent, peer_of, person, state_of
from nanny_ops.control.services import agent as agents
from nanny_ops.control.services import legacy as service
from nanny_ops.control.services import metrics as readings
from nanny_ops.control.services.enrollment import REFRESH_DAYS
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import agent as store
from nanny_ops.errors import (
    AccessDenied,
    AuthorizationPending,
    Conflict,
    ExpiredToken,
    Forbidden,
    InvalidGrant,
    NannyError,
    NotFound,
    SlowDown,
    TokenInvalid,
    Unavailable,
    UnknownAction,
    ValidationFailed,
)
from nanny_ops.protocol.enrollment import (
    Authorize,
    DeviceAuthStart,
    Refresh,
    Register,
    RegisterWithToken,
    TokenAnswer,
)
from nanny_ops.protocol.legacy import NANNYAGENT, PENDING, Dialect, LegacyMetrics
from nanny_ops.protocol.metrics import SystemMetrics

T = TypeVar("T")
Said = dict[str, Any]
#: Takes a reading in, within the limits that hold for every agent.
Take = Callable[[HostAgent, SystemMetrics, bytes], Awaitable[None]]
#: Agents in one list; this dialect has no pages.
LISTED = 100
#: How a refusal is told where the guide's word would be misunderstood; agents read the text, not the status.
WORDS: dict[tuple[str, type[NannyError]], tuple[int, str]] = {
    ("register", AuthorizationPending): (400, PENDING),
    ("register", SlowDown): (400, PENDING),
    ("register", Unavailable): (503, PENDING),
    ("register", ExpiredToken): (400, "device code expired"),
    ("register", AccessDenied): (400, "device code denied"),
    ("register", InvalidGrant): (400, "invalid device code"),
    ("authorize", NotFound): (400, "invalid user code"),
    ("authorize", Conflict): (400, "invalid user code"),
    ("refresh", InvalidGrant): (401, "invalid refresh token"),
    ("renew-refresh-token", InvalidGrant): (401, "invalid refresh token"),
    ("revoke", NotFound): (404, "agent not found"),
    ("health", NotFound): (404, "agent not found"),
}


def spoken(raw: bytes) -> Said | None:
    """Return what a body of this dialect says, None for one of the guide. Cheap where the word does not occur."""
    if b'"action"' not in raw:
        return None
    try:
        whole = from_json(raw)
    except ValueError:
        return None
    return whole if isinstance(whole, dict) and "action" in whole else None


async def act(request: Request, said: Said, take: Take) -> Response:
    """Do what a body with an ``action`` asks for on ``POST /api/agent``, and answer in this dialect."""
    action = said["action"]
    step = ACTIONS.get(action) if isinstance(action, str) else None
    try:
        if step is None:
            raise UnknownAction(f"There is no such action; known are {', '.join(ACTIONS)}.")
        # Go writes null for a list that is empty: like a field that is not there.
        return JSONResponse(await step(request, _without_nulls(said), take))
    except NannyError as wrong:
        status, word = WORDS.get((str(action), type(wrong)), (wrong.status, wrong.code))
        body = flat(wrong, getattr(request.state, "request_id", ""), state_of(request).clock())
        return JSONResponse({**body, "error": word}, status, headers=wrong.headers)


async def _start(request: Request, said: Said, _take: Take) -> Said:
    started: Any = await _command(request, _read(DeviceAuthStart, said))
    return {
        "device_code": started.device_code,
        "user_code": started.user_code,
        "verification_uri": started.verification_uri_complete,
        "expires_in": started.expires_in,
    }


async def _authorize(request: Request, said: Said, _take: Take) -> Said:
    await _command(request, _read(Authorize, said))
    return {"success": True, "message": "device authorized"}


async def _register(request: Request, said: Said, _take: Take) -> Said:
    claim = _read(Register, said)
    if not claim.platform and isinstance(said.get("os_info"), str):
        claim = replace(claim, platform=said["os_info"][:255])
    tokens: Any = await _command(request, claim)
    await speak(state_of(request), tokens.agent_id, NANNYAGENT)
    return _granted(tokens)


def _granted(tokens: TokenAnswer) -> Said:
    return {
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "expires_in": tokens.expires_in,
        "agent_id": tokens.agent_id,
    }


async def _refresh(request: Request, said: Said, _take: Take) -> Said:
    """Trade the refresh token for access; it stays as it is, since these agents keep theirs when told none.

    The next one exists already; as long as nobody uses it the present one is good.
    """
    tokens: Any = await _command(request, _read(Refresh, {**said, "action": "refresh"}))
    return {**_granted(tokens), "refresh_token": "", "refresh_token_expires_in": REFRESH_DAYS * 86_400}


async def _renew(request: Request, said: Said, _take: Take) -> Said:
    tokens: Any = await _command(request, _read(Refresh, {**said, "action": "refresh"}))
    lasting = {"token_type": tokens.token_type, "refresh_token_expires_in": REFRESH_DAYS * 86_400}
    return {**_granted(tokens), **lasting}


async def _register_with_token(request: Request, said: Said, _take: Take) -> Said:
    """Enrol by a token; an agent's own token, with which these agents then go on, names the agent it is for."""
    try:
        return {"agent_id": (await host_agent(request)).id}
    except TokenInvalid:  # not an agent's token: one that enrols, or none of ours
        tokens: Any = await _command(request, _read(RegisterWithToken, said))
    await speak(state_of(request), tokens.agent_id, NANNYAGENT)
    return _granted(tokens)


async def _ingest(request: Request, said: Said, take: Take) -> Said:
    control, who = state_of(request), await host_agent(request)
    if request.headers.get("x-agent-id", who.id) != who.id:
        raise Forbidden("X-Agent-ID names another agent than the token does.")
    reading, kept = service.flattened(who, _read(LegacyMetrics, said), control.clock())
    await take(who, reading, kept)
    if who.dialect != NANNYAGENT:
        await speak(control, who.id, NANNYAGENT)
    return {"success": True, "message": "metrics recorded"}


async def _list(request: Request, _said: Said, _take: Take) -> Said:
    control, who = state_of(request), await person(request)
    found, _ = await control.database.read(lambda tx: store.page(tx, who.teams, LISTED, 0))
    return {"agents": [service.shown(agent, control.clock()) for agent in found]}


async def _revoke(request: Request, said: Said, _take: Take) -> Said:
    await agent_edge.revoke(_agent_id(said), await person(request), state_of(request))
    return {"success": True, "message": "agent revoked"}


async def _health(request: Request, said: Said, _take: Take) -> Said:
    control, who = state_of(request), await person(request)
    agent = await control.database.read(lambda tx: agents.seen_by(tx, who, _agent_id(said)))
    newest, _ = await control.database.read(lambda tx: readings.page(tx, agent, (None, None), 1, 0))
    latest = from_json(newest[0].body) if newest else None
    return {"agent_id": agent.id, **service.state(agent, control.clock()), "latest_metrics": latest}


ACTIONS: dict[str, Callable[[Request, Said, Take], Awaitable[Said]]] = {
    "device-auth-start": _start,
    "authorize": _authorize,
    "register": _register,
    "refresh": _refresh,
    "renew-refresh-token": _renew,
    "register-with-token": _register_with_token,
    "ingest-metrics": _ingest,
    "list": _list,
    "revoke": _revoke,
    "health": _health,
}


async def _command(request: Request, body: Any) -> Any:
    return await enrollment.command(body, request, state_of(request), peer_of(request))


async def speak(control: State, agent_id: str, dialect: Dialect) -> None:
    """Remember what an agent speaks from now on."""
    await control.database.write(lambda tx: service.speak(tx, agent_id, dialect))
    control.sessions.forget(agent_id)


def _agent_id(said: Said) -> str:
    found = said.get("agent_id")
    if not isinstance(found, str) or not found:
        raise ValidationFailed("agent_id: is missing.", field="agent_id")
    return found


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _read(kind: type[T], said: Said) -> T:
    """Check what was said against a record. Raises BadRequest that names the field."""
    try:
        return cast("T", _ADAPTERS[kind].validate_python(said))
    except ValidationError as wrong:
        raise from_validation(
            list(wrong.errors(include_url=False, include_input=False, include_context=False))
        ) from None


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {
    kind: TypeAdapter(checked(kind, config=ConfigDict(allow_inf_nan=False), frozen=True, kw_only=True))
    for kind in (DeviceAuthStart, Authorize, Register, RegisterWithToken, Refresh, LegacyMetrics)
}
