"""A running script's output for people who watch: best effort, bounded, never in the way of the result."""

import codecs
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from nanny_ops.agent.client import ApiClient
from nanny_ops.errors import AgentError, Rejected
from nanny_ops.protocol.operation import OutputChunk
from nanny_ops.protocol.patch_report import Step
from nanny_ops.protocol.watch import JobSteps

log = logging.getLogger(__name__)
#: Bytes that are sent at once, and of one stream in all.
CHUNK, LIVE_CAP = 32 * 1024, 1024 * 1024
#: Rounds that are left out after one that failed.
PAUSE = 15


class OutputFeed:
    """Sends what two files have gained since the last round."""

    def __init__(self, client: ApiClient, operation_id: str) -> None:
        """Name the operation; nothing is sent yet."""
        self._client, self._order = client, f"/api/operations/{operation_id}"
        self._path = f"{self._order}/output"
        self._offsets: dict[Literal["stdout", "stderr"], int] = {"stdout": 0, "stderr": 0}
        self._pause = 0
        self._steps: list[Step] = []

    async def push(self, stdout_path: str, stderr_path: str, steps: Sequence[Step] = ()) -> None:
        """Send at most one piece of each file, and the job's steps where they changed; a failure is left for later."""
        if self._pause:
            self._pause -= 1
            return
        try:
            await self._tell(list(steps))
            await self._stream("stdout", stdout_path)
            await self._stream("stderr", stderr_path)
        except AgentError as wrong:
            self._pause = PAUSE
            log.info("event=output_held path=%s reason=%r", self._path, wrong.message)

    async def _tell(self, steps: list[Step]) -> None:
        if steps == self._steps:
            return
        try:
            await self._client.request("POST", f"{self._order}/steps", body=JobSteps(steps=steps), tries=1)
        except Rejected as wrong:  # a control plane that does not know of steps, or the order has ended there
            log.info("event=steps_refused path=%s reason=%r", self._order, wrong.message)
        self._steps = steps

    async def _stream(self, stream: Literal["stdout", "stderr"], path: str) -> None:
        offset = self._offsets[stream]
        piece = _read(path, offset) if path and offset < LIVE_CAP else b""
        text, used = decode(piece)
        if used:
            body = OutputChunk(stream=stream, offset=offset, text=text)
            await self._client.request("POST", self._path, body=body, tries=1)
            self._offsets[stream] = offset + used


def _as_many(wrong: UnicodeError) -> tuple[str, int]:
    if not isinstance(wrong, UnicodeDecodeError):
        raise wrong
    return "?" * (wrong.end - wrong.start), wrong.end


#: Puts as many question marks as there are bytes that are no text: places in the output stay what they are.
codecs.register_error("as-many", _as_many)


def decode(piece: bytes) -> tuple[str, int]:
    """Return the text of ``piece`` and the bytes it took; a character cut at the end is left for later."""
    text, used = codecs.utf_8_decode(piece, "as-many", False)
    return text, used


def _read(path: str, offset: int) -> bytes:
    try:
        with Path(path).open("rb") as file:
            file.seek(offset)
            return file.read(CHUNK)
    except OSError:
        return b""
