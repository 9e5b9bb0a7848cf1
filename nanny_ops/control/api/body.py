"""JSON bodies that are kept as they came: read with a cap, checked against a wire record, nothing thrown away."""

import asyncio
from typing import Any, Generic, TypeVar, cast

from fastapi import Request
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked
from pydantic_core import from_json
from starlette.types import Receive

from nanny_ops.control.api.problem import from_validation
from nanny_ops.errors import BadRequest, BodyLate, TooLarge, UnknownAction, ValidationFailed

T = TypeVar("T")
#: Bytes of one report.
CAP = 1024 * 1024
#: Seconds within which a body must have arrived: whoever sends a byte a minute must not hold a connection for days.
PATIENCE = 60.0


class Record(Generic[T]):
    """One wire record as an endpoint takes it. ``strict`` refuses what would first have to be converted."""

    def __init__(self, kind: type[T], example: dict[str, Any], *, strict: bool = False) -> None:
        """Prepare the validator once."""
        finite = cast("type[T]", checked(kind, config=ConfigDict(allow_inf_nan=False), frozen=True, kw_only=True))
        self._adapter: TypeAdapter[T] = TypeAdapter(finite)
        self._strict = strict
        self._example = example

    def parse(self, raw: bytes) -> T:
        """Check a body. Raises BadRequest, or ValidationFailed that names the field."""
        try:
            found = self._adapter.validate_json(raw, strict=self._strict)
        except ValidationError as wrong:
            refuse_actions(raw)
            raise from_validation(list(wrong.errors(include_url=False, include_context=False))) from None
        if b'"action"' in raw:
            refuse_actions(raw)
        if b"NaN" in raw or b"Infinity" in raw:
            _refuse_words_for_numbers(raw)
        return found

    def parse_open(self, raw: bytes) -> tuple[T, dict[str, Any]]:
        """Check a body and return the whole of it too, with the keys that the record does not know.

        Raises BadRequest or ValidationFailed.
        """
        known = self.parse(raw)
        for name, value in vars(known).items():
            if isinstance(value, str) and "\0" in value:
                raise ValidationFailed(f"{name}: Text must not hold a NUL character", field=name)
        whole = cast("dict[str, Any]", from_json(raw))
        if not _is_finite(whole):
            raise BadRequest("A number in the body is too large.")
        return known, whole

    def documented(self) -> dict[str, Any]:
        """Return the OpenAPI description of the body."""
        schema = self._adapter.json_schema()
        plain = _inlined({key: value for key, value in schema.items() if key != "$defs"}, schema.get("$defs", {}))
        content = {"application/json": {"schema": plain, "example": self._example}}
        return {"requestBody": {"required": True, "content": content}}


async def read(receive: Receive, announced: str | bytes | None, cap: int = CAP, patience: float = PATIENCE) -> bytes:
    """Return a request's body, given its Content-Length if it has one, within ``patience`` seconds.

    Raises TooLarge beyond ``cap`` bytes, without reading on, BodyLate, and BadRequest when the sender went away.
    """
    if announced is not None and int(announced) > cap:
        raise TooLarge(f"A report may have {cap} bytes.", limit=cap)
    try:
        async with asyncio.timeout(patience):
            return await _whole(receive, cap)
    except TimeoutError:
        raise BodyLate(f"The body did not arrive within {patience:g} seconds.") from None


async def _whole(receive: Receive, cap: int) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
        if len(body) > cap:
            raise TooLarge(f"A report may have {cap} bytes.", limit=cap)
    if message["type"] == "http.disconnect":
        raise BadRequest("The body ended early.")
    return body


async def read_of(request: Request) -> bytes:
    """Do the same for a request object."""
    return await read(request.receive, request.headers.get("content-length"))


def refuse_actions(raw: bytes) -> None:
    """Raise UnknownAction for a body with an ``action``: that is another dialect of these addresses."""
    try:
        whole = from_json(raw)
    except ValueError:
        return
    if isinstance(whole, dict) and "action" in whole:
        raise UnknownAction("This address takes reports without an 'action'; actions are sent to POST /api/auth.")


def _refuse_words_for_numbers(raw: bytes) -> None:
    """Raise BadRequest for NaN and Infinity, also where no record looks: they are not JSON, and bodies are kept."""
    try:
        from_json(raw, allow_inf_nan=False)
    except ValueError:
        raise BadRequest("The body is not valid JSON: NaN and Infinity are not numbers there.") from None


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_finite(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_finite(item) for item in value)
    return not isinstance(value, float) or abs(value) != float("inf")


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Put definitions in the place of references, which would point outside an OpenAPI document's components."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(value, definitions) for key, value in schema.items()}
