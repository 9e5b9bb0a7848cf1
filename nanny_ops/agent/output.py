"""A running script's output for people who watch: best effort, bounded, never in the way of the result."""

import codecs
import logging
from pathlib import Path
from typing import Literal

from nanny_ops.agent.client import ApiClient
from nanny_ops.errors import AgentError
from nanny_ops.protocol.operation import OutputChunk

log = logging.getLogger(__name__)
#: Bytes that are sent at once, and of one stream in all.
CHUNK, LIVE_CAP = 32 * 1024, 1024 * 1024
#: Rounds that are left out after one that failed.
PAUSE = 15


class OutputFeed:
    """Sends what two files have gained since the last round."""

    def __init__(self, client: ApiClient, operation_id: str) -> None:
        """Name the operation; nothing is sent yet."""
        self._client, self._path = client, f"/api/operations/{operation_id}/output"
        self._offsets: dict[Literal["stdout", "stderr"], int] = {"stdout": 0, "stderr": 0}
        self._pause = 0

    async def push(self, stdout_path: str, stderr_path: str) -> None:
        """Send at most one piece of each file; a failure is left for a later round."""
        if self._pause:
            self._pause -= 1
            return
        try:
            await self._stream("stdout", stdout_path)
            await self._stream("stderr", stderr_path)
        except AgentError as wrong:
            self._pause = PAUSE
            log.info("event=output_held path=%s reason=%r", self._path, wrong.message)

    async def _stream(self, stream: Literal["stdout", "stderr"], path: str) -> None:
        offset = self._offsets[stream]
        piece = _read(path, offset) if path and offset < LIVE_CAP else b""
        text, used = decode(piece)
        if used:
            body = OutputChunk(stream=stream, offset=offset, text=text)
            await self._client.request("POST", self._path, body=body, tries=1)
            self._offsets[stream] = offset + used


def decode(piece: bytes) -> tuple[str, int]:
    """Return the text of ``piece`` and the bytes it took; a character cut at the end is left for later."""
    text, used = codecs.utf_8_decode(piece, "replace", False)
    return text, used


def _read(path: str, offset: int) -> bytes:
    try:
        with Path(path).open("rb") as file:
            file.seek(offset)
            return file.read(CHUNK)
    except OSError:
        return b""
