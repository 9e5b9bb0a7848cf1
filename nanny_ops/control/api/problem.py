"""How an error looks on the wire: flat for agents, nested for operators, from one class."""

import uuid
from datetime import datetime
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from nanny_ops.control.services.principal import HostAgent
from nanny_ops.errors import (
    BadRequest,
    BodyLate,
    Internal,
    MethodNotAllowed,
    NannyError,
    NotFound,
    TooLarge,
    UnknownAction,
    ValidationFailed,
)
from nanny_ops.protocol.clock import now, stamp

log = structlog.get_logger()

#: Beginnings of addresses that agents use; elsewhere the principal decides.
AGENT_PLANE = (
    "/api/agent",
    "/api/auth",
    "/api/realtime",
    "/api/operations",
    "/api/proxmox",
    "/api/files",
    "/api/reboot/",
)
OPERATOR_PLANE = ("/api/auth/", "/api/agents", "/api/proxmox/clusters", "/api/proxmox/nodes", "/api/proxmox/guests")
AGENT_ENDINGS = ("/script", "/sha256", "/results", "/report", "/result", "/validate")


def install(app: FastAPI) -> None:
    """Render every error of this app."""
    app.add_exception_handler(NannyError, _named)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(Exception, _unexpected)


def render(request: Request, error: NannyError) -> JSONResponse:
    """Return the answer for a named error."""
    is_flat = is_agent_plane(request)
    trace = getattr(request.state, "request_id", "") or uuid.uuid4().hex
    status = error.status if is_flat else getattr(error, "operator_status", error.status)
    body = flat(error, trace, now()) if is_flat else _nested(error, trace, now(), request)
    return JSONResponse(body, status_code=status, headers=error.headers)


def is_agent_plane(request: Request) -> bool:
    """Tell whether the asker reads flat errors."""
    if isinstance(getattr(request.state, "principal", None), HostAgent):
        return True
    return plane_of(request.url.path)


def plane_of(path: str) -> bool:
    """Tell whether an address belongs to the agent plane, where nothing else is known of the asker."""
    if path.startswith(OPERATOR_PLANE):
        return False
    return path.startswith(AGENT_PLANE) or (path.startswith("/api/") and path.endswith(AGENT_ENDINGS))


def flat(error: NannyError, trace: str, at: datetime) -> dict[str, Any]:
    """Return the body of an error as agents read it."""
    body: dict[str, Any] = {
        "error": error.code,
        "error_description": error.message,
        "timestamp": stamp(at),
        "trace_id": trace,
    }
    if error.details:
        body["details"] = _plain(error.details)
    return body


def _nested(error: NannyError, trace: str, at: datetime, request: Request) -> dict[str, Any]:
    return {
        "error": {
            "code": error.operator_code,
            "message": error.message,
            "severity": error.severity,
            "user_message": error.message,
            "timestamp": stamp(at),
            "trace_id": trace,
            "details": _plain(error.details),
            "context": {"request_path": request.url.path, "user_agent": request.headers.get("user-agent", "")},
        }
    }


def _plain(details: Any) -> dict[str, Any]:
    return {
        key: value if isinstance(value, str | int | float | list | dict) else str(value)
        for key, value in details.items()
    }


async def _named(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, NannyError)  # noqa: S101  the handler is registered for it
    return render(request, error)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  the handler is registered for it
    return render(request, from_validation(list(error.errors())))


def from_validation(errors: list[Any]) -> BadRequest:
    """Turn pydantic's list into one sentence that names the first field, with all of them in the details."""
    first = errors[0]
    if first["type"] == "json_invalid":
        return BadRequest("The body is not valid JSON.")
    if first["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        return UnknownAction(first["msg"])
    fields = [{"field": _path(item["loc"]), "problem": item["msg"]} for item in errors[:20]]
    return ValidationFailed(f"{fields[0]['field']}: {first['msg']}", field=fields[0]["field"], fields=fields)


def _path(location: tuple[int | str, ...]) -> str:
    parts = [str(part) for part in location if part not in {"body", "query", "path", "header"}]
    return ".".join(parts) or "body"


async def _framework(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101  the handler is registered for it
    named: dict[int, NannyError] = {
        404: NotFound(f"There is nothing at {request.url.path}."),
        405: MethodNotAllowed(),
        408: BodyLate(),
        413: TooLarge(),
    }
    found = named.get(error.status_code) or (BadRequest(str(error.detail)) if error.status_code < 500 else Internal())
    answer = render(request, found)
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    # The one broad handler of this process: the trace goes to the log, never to the caller.
    log.error("unexpected error", path=request.url.path, exc_info=error)
    return render(request, Internal())
