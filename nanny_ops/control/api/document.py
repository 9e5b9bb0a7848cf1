"""The OpenAPI document: what FastAPI finds out by itself, and how every refusal looks."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from nanny_ops.control.api.problem import plane_of

#: Addresses that need no token.
PUBLIC = frozenset({"/health", "/health/ready", "/metrics", "/api/auth", "/api/auth/login", "/api/auth/token"})
#: Addresses where a token may be given but need not be.
OPTIONAL = frozenset({("get", "/api/realtime"), ("post", "/api/agent")})
INSTANT = "2026-01-31T02:00:00.000Z"
MEANINGS = {
    400: ("bad_request", "BAD_REQUEST", "The request cannot be understood, or a field is wrong"),
    401: ("unauthorized", "AUTH_FAILED", "The token is missing, malformed, expired or not one of ours"),
    403: ("forbidden", "AUTH_UNAUTHORIZED", "The token's holder may not do this, or was revoked"),
    404: ("not_found", "DB_RECORD_NOT_FOUND", "There is no such thing, or it is another team's"),
    413: ("too_large", "PAYLOAD_TOO_LARGE", "The body is larger than allowed"),
    422: ("validation_error", "VALIDATION_ERROR", "A field has a wrong value; details name it"),
    429: ("rate_limited", "RATE_LIMIT_EXCEEDED", "Too often; see Retry-After"),
    503: ("unavailable", "SERVICE_UNAVAILABLE", "Starting, draining or without database; see Retry-After"),
}
Operation = dict[str, Any]


def install(app: FastAPI) -> None:
    """Have this app answer ``/openapi.json`` with the completed document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = complete(
                get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add tokens, refusals and their bodies to every operation."""
    parts = document.setdefault("components", {})
    parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    parts.setdefault("schemas", {}).update({"FlatError": _flat_schema(), "NestedError": _nested_schema()})
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _secure(path, method, operation)
            _refuse(path, operation)
    return document


def _secure(path: str, method: str, operation: Operation) -> None:
    if path in PUBLIC and path != "/api/auth":
        return
    bearer: list[dict[str, list[str]]] = [{"bearer": []}]
    operation["security"] = [{}, *bearer] if (method, path) in OPTIONAL or path == "/api/auth" else bearer


def _refuse(path: str, operation: Operation) -> None:
    flat = plane_of(path)
    responses = operation["responses"]
    if flat or path in PUBLIC - {"/api/auth", "/api/auth/login", "/api/auth/token"}:
        responses.pop("422", None)
    for status in sorted(_statuses(path, operation, flat=flat)):
        responses.setdefault(str(status), {"description": MEANINGS[status][2]})
    for status, response in responses.items():
        if status >= "400" and int(status) in MEANINGS | {409: ()}:
            response["content"] = {
                "application/json": {
                    "schema": _reference(operation, flat),
                    "examples": _examples(int(status), flat=flat),
                }
            }


def _statuses(path: str, operation: Operation, *, flat: bool) -> set[int]:
    found = {503}
    if "security" in operation:
        found |= {401, 403, 429}
    if "{" in path:
        found.add(404)
    if "requestBody" in operation:
        found |= {400, 413, 429} | (set() if flat else {422})
    elif operation.get("parameters"):
        found |= {400} if flat else {422}
    return found


def _reference(operation: Operation, flat: bool) -> dict[str, Any]:
    one = {"$ref": f"#/components/schemas/{'Flat' if flat else 'Nested'}Error"}
    # An agent that asks an operator's address, or the reverse, reads errors in its own shape.
    other = {"$ref": f"#/components/schemas/{'Nested' if flat else 'Flat'}Error"}
    return {"anyOf": [one, other]} if operation.get("security") else one


def _examples(status: int, *, flat: bool) -> dict[str, Any]:
    if status not in MEANINGS:
        return {}
    word, code, text = MEANINGS[status]
    trace = {"timestamp": INSTANT, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}
    context = {"request_path": "/api/patches", "user_agent": "curl/8"}
    said = {"code": code, "message": text, "severity": "low", "user_message": text, "details": {}, "context": context}
    body = {"error": word, "error_description": text, **trace} if flat else {"error": {**said, **trace}}
    return {word: {"value": body}}


def _flat_schema() -> dict[str, Any]:
    text = {"type": "string"}
    properties = {
        "error": text,
        "error_description": text,
        "timestamp": text,
        "trace_id": text,
        "details": {"type": "object"},
    }
    return {"type": "object", "required": ["error", "error_description", "timestamp"], "properties": properties}


def _nested_schema() -> dict[str, Any]:
    text = {"type": "string"}
    inner = {
        "type": "object",
        "required": ["code", "message", "severity", "user_message", "timestamp", "trace_id", "details", "context"],
        "properties": {
            **dict.fromkeys(("code", "message", "user_message", "timestamp", "trace_id"), text),
            "severity": {"type": "string", "enum": ["low", "medium", "high", "critical"]},
            "details": {"type": "object"},
            "context": {"type": "object"},
        },
    }
    return {"type": "object", "required": ["error"], "properties": {"error": inner}}
