"""Uploads of results: streamed to disk part by part, never held in memory."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from nanny_ops.control.api.problem import from_validation
from nanny_ops.control.api.state import AsAgent, Control, outputs_of
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import result as service
from nanny_ops.control.store.output import STREAMS, Incoming
from nanny_ops.errors import BadRequest, TooLarge, Unavailable, ValidationFailed
from nanny_ops.protocol.metrics import Accepted
from nanny_ops.protocol.patch import ResultMetadata

router = APIRouter(prefix="/api/patches", tags=["patches"])
#: Bytes of the part ``metadata``, which is read into memory.
METADATA_CAP = 8 * 1024 * 1024
#: Bytes of the headers of one part.
PART_HEADERS_CAP = 8 * 1024
#: Seconds that one upload may take.
PATIENCE = 600
METADATA = TypeAdapter(ResultMetadata)
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["metadata"],
                    "properties": {
                        "metadata": {"type": "string", "contentMediaType": "application/json"},
                        "stdout": {"type": "string", "format": "binary"},
                        "stderr": {"type": "string", "format": "binary"},
                    },
                }
            }
        },
    }
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body is not such a form, or its metadata is wrong or about another operation"},
    403: {"description": "Another agent's operation"},
    404: {"description": "No such operation"},
    413: {"description": "Larger than this control plane takes"},
    503: {"description": "It cannot be stored now; see Retry-After"},
}


@router.post("/{operation_id}/results", responses=ANSWERS, openapi_extra=BODY)
async def upload(operation_id: str, request: Request, agent: AsAgent, control: Control) -> Accepted:
    """Take a result: ``metadata``, ``stdout`` and ``stderr``. Idempotent; the first result of an operation stands."""
    operation = await control.database.read(lambda tx: service.expected(tx, agent, operation_id))
    outputs = outputs_of(control)
    incoming = await asyncio.to_thread(outputs.receive, operation.id)
    try:
        metadata = read_metadata(await receive(request, incoming, control.settings.result_cap_bytes))
        essence = service.essence(operation, metadata)
        receipt = await asyncio.to_thread(incoming.keep, essence)
        taken = await control.database.write(
            lambda tx: service.take(tx, agent, operation.id, metadata, receipt, control.clock())
        )
    finally:
        await asyncio.to_thread(incoming.discard)
    if taken.new:
        operations.tell_end(control.counts, taken.operation)
        await asyncio.to_thread(outputs.settle, operation.id)
    if not taken.counts:
        await asyncio.to_thread(outputs.drop, operation.id, receipt)
    return Accepted(success=True, message=taken.message)


async def receive(request: Request, incoming: Incoming, cap: int) -> bytes:
    """Stream a form to disk and return its part ``metadata``. Raises BadRequest, TooLarge, Unavailable."""
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > cap:
        raise TooLarge(f"The results are larger than {cap} bytes.", limit=cap)
    form, size = Form(request.headers.get("content-type", ""), incoming), 0
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.stream():
                size += len(chunk)
                if size > cap:
                    raise TooLarge(f"The results are larger than {cap} bytes.", limit=cap)
                await asyncio.to_thread(form.feed, chunk)
    except ClientDisconnect:
        raise BadRequest("The upload was cut before its end.") from None
    except TimeoutError:
        raise Unavailable(f"The upload took longer than {PATIENCE} seconds.") from None
    return form.metadata()


def read_metadata(text: bytes) -> ResultMetadata:
    """Check the part ``metadata``. Raises ValidationFailed that names the field."""
    try:
        return METADATA.validate_json(text)
    except ValidationError as wrong:
        errors = wrong.errors(include_url=False, include_input=False, include_context=False)
        if errors[0]["type"] == "json_invalid":
            raise ValidationFailed("metadata: is not valid JSON.", field="metadata") from None
        raise from_validation([{**error, "loc": ("metadata", *error["loc"])} for error in errors]) from None


class Form:
    """Takes a multipart body in pieces cut anywhere and hands its files on."""

    def __init__(self, content_type: str, incoming: Incoming) -> None:
        """Read the boundary. Raises BadRequest."""
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise BadRequest("The body must be multipart/form-data with a boundary.")
        self._incoming = incoming
        self._metadata = bytearray()
        self._seen: set[str] = set()
        self._part, self._ended = "", False
        self._field, self._value, self._disposition = bytearray(), bytearray(), b""
        try:
            self._parser = MultipartParser(options[b"boundary"], self._callbacks())
        except FormParserError:
            raise BadRequest("The boundary is longer than RFC 2046 allows.") from None

    def feed(self, chunk: bytes) -> None:
        """Take the next piece; this writes to disk. Raises BadRequest, TooLarge, Unavailable."""
        try:
            self._parser.write(chunk)
        except FormParserError as wrong:
            raise BadRequest(f"The body is not valid multipart/form-data: {wrong}") from None

    def metadata(self) -> bytes:
        """Return the part ``metadata`` after the last piece. Raises BadRequest when the form is not complete."""
        if not self._ended:
            raise BadRequest("The body ends before its closing boundary.")
        if "metadata" not in self._seen:
            raise ValidationFailed("metadata: this part is missing.", field="metadata")
        return bytes(self._metadata)

    def _callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._grow(self._field, data[start:end]),
            "on_header_value": lambda data, start, end: self._grow(self._value, data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": self._headers,
            "on_part_data": lambda data, start, end: self._data(data[start:end]),
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._part, self._disposition = "", b""

    def _grow(self, text: bytearray, piece: bytes) -> None:
        if len(text) + len(piece) > PART_HEADERS_CAP:
            raise BadRequest("The header of a part is too long.")
        text += piece

    def _header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._part = options.get(b"name", b"").decode("utf-8", "replace")
        if self._part in self._seen:
            raise BadRequest(f"The part '{self._part}' comes twice.")
        if self._part in {"metadata", *STREAMS}:
            self._seen.add(self._part)

    def _data(self, piece: bytes) -> None:
        if self._part in STREAMS:
            self._incoming.write(self._part, piece)
        elif self._part == "metadata":
            if len(self._metadata) + len(piece) > METADATA_CAP:
                raise TooLarge(f"The part 'metadata' is larger than {METADATA_CAP} bytes.", limit=METADATA_CAP)
            self._metadata += piece

    def _end(self) -> None:
        self._ended = True
