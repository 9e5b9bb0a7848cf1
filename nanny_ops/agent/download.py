"""Fetch a large file over a bad line: it goes on where it broke off, and ends when nothing comes any more.

There is no limit on the whole time, only on progress: so many bytes in each minute, or so many tries without any.
"""

import hashlib
import logging
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from nanny_ops.agent import backoff
from nanny_ops.agent.client import ApiClient
from nanny_ops.agent.order import Refused
from nanny_ops.errors import ForeignHost, Rejected, Unreachable
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.release import ARCHIVE_CAP

log = logging.getLogger(__name__)
#: Bytes that a line must bring in each window, and each try: 12 MB then take seven hours at most.
LEAST, WINDOW = 32 * 1024, timedelta(seconds=60)
#: Tries in a row that bring less before it is given up.
TRIES = 8
#: The status of an answer to a range that begins where the file has ended.
NOTHING_THERE = 416
#: Bytes that stay free on the disk.
RESERVE = 32 * 2**20


class Download:
    """Fetches one file of a known size and checksum; a part of it is kept over restarts."""

    def __init__(
        self,
        client: ApiClient,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
        random: backoff.Random = lambda: 0.5,
        free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        """Take the way to the control plane, and time."""
        self._client, self._now, self._sleep, self._random, self._free = client, now, sleep, random, free

    async def fetch(self, url: str, target: Path, size: int, sha256: str) -> None:
        """Bring the file to ``target``. Raises Refused with the outcome's word, AgentRevoked."""
        if not 0 < size <= ARCHIVE_CAP:
            raise Refused(Outcome.REFUSED, f"An archive of {size} bytes is not fetched.")
        have, trouble, empty = _size(target), "", 0
        if self._free(target.parent) < size - have + RESERVE:
            raise Refused(Outcome.DISK_FULL, f"{target.parent} has no room for {size} bytes.")
        while have < size and empty < TRIES:
            if empty or trouble:
                await self._sleep(backoff.delay(empty, self._random))
            try:
                await self._go_on(url, target, have, size)
            except Unreachable as wrong:
                trouble = wrong.message
            except (Rejected, ForeignHost) as wrong:
                if wrong.details.get("status") == NOTHING_THERE:
                    raise _shorter(target, have, size) from wrong
                trouble = self._hopeless(wrong)
            except OSError as wrong:
                raise Refused(Outcome.DISK_FULL, f"The release cannot be written: {wrong}") from wrong
            grown = _size(target)
            empty, have = (0 if grown - have >= LEAST else empty + 1), grown
            log.info("event=download have=%d of=%d reason=%r", have, size, trouble)
        if have < size:
            raise Refused(
                Outcome.TIMED_OUT, f"The download brought nothing more after {have} of {size} bytes: {trouble}"
            )
        _check(target, sha256)

    def _hopeless(self, wrong: Rejected | ForeignHost) -> str:
        """Return why this try failed. Raises Refused where another would not mend it."""
        status = wrong.details.get("status")
        if isinstance(status, int) and backoff.is_retryable(status):
            return wrong.message
        raise Refused(Outcome.REFUSED, wrong.message) from wrong

    async def _go_on(self, url: str, target: Path, have: int, size: int) -> None:
        async with self._client.download(url, have) as (status, pieces):
            with target.open("ab") as file:
                if status == 200:  # whoever answers does not know parts, and begins anew
                    have = file.truncate(0)
                await self._take(file, pieces, have, size)

    async def _take(self, file: BinaryIO, pieces: AsyncIterator[bytes], have: int, size: int) -> None:
        since, mark = self._now(), have
        async for piece in pieces:
            have += len(piece)
            if have > size:
                file.truncate(0)
                raise Refused(Outcome.CHECKSUM_MISMATCH, f"More came than the {size} bytes that were promised.")
            file.write(piece)
            if self._now() - since >= WINDOW:
                if have - mark < LEAST:
                    raise Unreachable(f"Only {have - mark} bytes came in {WINDOW.seconds} s.")
                since, mark = self._now(), have


def _size(target: Path) -> int:
    try:
        return target.stat().st_size
    except FileNotFoundError:
        return 0


def _shorter(target: Path, have: int, size: int) -> Refused:
    """Return the refusal of an archive that ends before its size, and keep nothing of it."""
    target.unlink(missing_ok=True)
    sentence = f"The archive ends after {have} of the {size} bytes that were promised; it was not unpacked."
    return Refused(Outcome.CHECKSUM_MISMATCH, sentence)


def _check(target: Path, sha256: str) -> None:
    with target.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        target.unlink()
        sentence = f"The archive's SHA-256 is {found}, and {sha256[:64]} was ordered; it was not unpacked."
        raise Refused(Outcome.CHECKSUM_MISMATCH, sentence)
