"""Uploads of results: streamed to disk part by part, never held in memory."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from nanny_ops.control.api.problem import from_validation
from nanny_ops.control.api.state import AsAgent, Control, State, outputs_of
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import result as service
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.output import STREAMS, Incoming, Stream
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
#: Parts of a form that are outputs, and those that are read into memory with their cap in bytes.
FILES: Mapping[str, Stream] = {stream: stream for stream in STREAMS}
TEXTS: Mapping[str, int] = {"metadata": METADATA_CAP}
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
    incoming = await asyncio.to_thread(outputs_of(control).receive, operation.id)
    try:
        form = Form(request.headers.get("content-type", ""), incoming)
        await receive(request, form, control.settings.result_cap_bytes)
        metadata = read_metadata(form.text("metadata"))
        taken = await keep(control, agent, operation, incoming, metadata)
    finally:
        await asyncio.to_thread(incoming.discard)
    return Accepted(success=True, message=taken.message)


async def keep(
    control: State,
    agent: HostAgent,
    operation: Operation,
    incoming: Incoming,
    metadata: ResultMetadata,
    *,
    listed: bool = True,
) -> service.Taken:
    """Bring a received result to its place and end its operation; ``listed`` as in the service."""
    outputs, essence = outputs_of(control), service.essence(operation, metadata)
    receipt = await asyncio.to_thread(incoming.keep, essence)
    taken = await control.database.write(
        lambda tx: service.take(tx, agent, operation.id, metadata, receipt, control.clock(), listed=listed)
    )
    if taken.new:
        operations.tell_end(control.counts, taken.operation)
        await asyncio.to_thread(outputs.settle, operation.id)
        control.streams.nudge(operation.id, operation.batch_id)
    if not taken.counts:
        await asyncio.to_thread(outputs.drop, operation.id, receipt)
    return taken


async def receive(request: Request, form: "Form", cap: int) -> None:
    """Stream a form to disk until its closing boundary. Raises BadRequest, TooLarge, Unavailable."""
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > cap:
        raise TooLarge(f"The results are larger than {cap} bytes.", limit=cap)
    size = 0
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
    form.check_end()


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
    """Takes a multipart body in pieces cut anywhere, hands its files on and keeps its texts; other parts are passed by.

    ``files`` says which stream a part is, ``texts`` how many bytes a text may have.
    """

    def __init__(
        self,
        content_type: str,
        incoming: Incoming,
        files: Mapping[str, Stream] = FILES,
        texts: Mapping[str, int] = TEXTS,
    ) -> None:
        """Read the boundary. Raises BadRequest."""
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise BadRequest("The body must be multipart/form-data with a boundary.")
        self._incoming, self._files, self._caps = incoming, files, texts
        self._texts: dict[str, bytearray] = {}
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

    def check_end(self) -> None:
        """Raise BadRequest when the form is not complete."""
        if not self._ended:
            raise BadRequest("The body ends before its closing boundary.")

    def text(self, name: str) -> bytes:
        """Return a text after the last piece. Raises ValidationFailed when it is missing."""
        if name not in self._texts:
            raise ValidationFailed(f"{name}: this part is missing.", field=name)
        return bytes(self._texts[name])

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
        if self._part in self._files:
            self._seen.add(self._part)
        elif self._part in self._caps:
            self._seen.add(self._part)
            self._texts[self._part] = bytearray()

    def _data(self, piece: bytes) -> None:
        if self._part in self._files:
            self._incoming.write(self._files[self._part], piece)
        elif (text := self._texts.get(self._part)) is not None:
            if len(text) + len(piece) > (cap := self._caps[self._part]):
                raise TooLarge(f"The part '{self._part}' is larger than {cap} bytes.", limit=cap)
            text += piece

    def _end(self) -> None:
        self._ended = True
