"""What scripts printed: files in the data directory, apart from the database because of their size.

``results/<operation>/<receipt>/{stdout,stderr}`` holds a delivered result, named by its own checksum, so that the
same result is the same directory. ``results/<operation>/{stdout,stderr}.part`` grow while a script runs. What is being
received lies below ``incoming``, on the same file system.
"""

import hashlib
import math
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal

from nanny_ops.errors import Conflict, Unavailable
from nanny_ops.protocol.redaction import LONGEST_LINE, Redactor, masked

Stream = Literal["stdout", "stderr"]
STREAMS: tuple[Stream, ...] = ("stdout", "stderr")
#: Bytes of one stream that are kept while a script runs; the result brings all of it.
LIVE_CAP = 4 * 1024 * 1024
#: Seconds after which an agent tries again when the disk of the control plane is full.
DISK_RETRY = 60


class Incoming:
    """A result that is being received, in a directory of its own; it counts once :meth:`keep` has returned."""

    def __init__(self, home: Path, waiting: Path) -> None:
        """Make a directory below ``waiting``; the result will belong to ``home``."""
        self._home = home
        self._temporary = waiting / secrets.token_hex(8)
        self._files: dict[Stream, BinaryIO] = {}
        self._sums = {stream: hashlib.sha256() for stream in STREAMS}
        self._redactors = {stream: Redactor() for stream in STREAMS}
        with _storage():
            home.mkdir(mode=0o700, parents=True, exist_ok=True)  # a place that cannot be used is better told at once
            self._temporary.mkdir(mode=0o700, parents=True)

    def write(self, stream: Stream, data: bytes) -> None:
        """Append to one stream, without its secrets. Raises Unavailable when the disk is full."""
        self._put(stream, self._redactors[stream].feed(data))

    def _put(self, stream: Stream, data: bytes) -> None:
        with _storage():
            if stream not in self._files:
                self._files[stream] = (self._temporary / stream).open("ab")
            self._files[stream].write(data)
        self._sums[stream].update(data)

    def tail(self, stream: Stream, size: int) -> bytes:
        """Return the last bytes of what has come of one stream. Raises Unavailable."""
        self._put(stream, self._redactors[stream].flush())
        if stream not in self._files:
            return b""
        with _storage(), (self._temporary / stream).open("rb") as file:
            self._files[stream].flush()
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read()

    def keep(self, metadata: bytes) -> str:
        """Bring everything to disk under its final name and return the receipt. Raises Unavailable."""
        for stream in STREAMS:
            self._put(stream, self._redactors[stream].flush())
        sums = [self._sums[stream].digest() for stream in STREAMS]
        receipt = hashlib.sha256(b"".join([*sums, hashlib.sha256(metadata).digest()])).hexdigest()
        with _storage():
            for stream in STREAMS:
                self._files[stream].flush()
                os.fsync(self._files[stream].fileno())
            self._close()
            _sync(self._temporary)
            if not (self._home / receipt).is_dir():
                self._temporary.rename(self._home / receipt)
            _sync(self._home)
            _sync(self._home.parent)
        return receipt

    def discard(self) -> None:
        """Remove what was not kept; call it in every case."""
        with suppress(Unavailable):  # bytes that cannot reach a full disk are thrown away here anyway
            self._close()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _close(self) -> None:
        files, self._files = self._files, {}
        for file in files.values():
            with _storage():
                file.close()


class Outputs:
    """The outputs of all operations."""

    def __init__(self, data_dir: Path) -> None:
        """Look below the data directory; nothing is made yet."""
        self._root = data_dir / "results"
        self._waiting = data_dir / "incoming"

    def receive(self, operation_id: str) -> Incoming:
        """Begin to receive a result. Raises Unavailable."""
        return Incoming(self._root / operation_id, self._waiting)

    def sweep(self, before: float) -> int:
        """Remove what a killed process was receiving, if it has lain still since ``before`` (seconds of the epoch).

        Return how many results that were. Raises Unavailable.
        """
        with _storage():
            if not self._waiting.is_dir():
                return 0
            old = [entry for entry in self._waiting.iterdir() if _changed_at(entry) < before]
        for entry in old:
            shutil.rmtree(entry, ignore_errors=True)
        return len(old)

    def drop(self, operation_id: str, receipt: str) -> None:
        """Remove a received result that does not count."""
        shutil.rmtree(self._root / operation_id / receipt, ignore_errors=True)

    def forget(self, operation_id: str) -> None:
        """Remove everything that an operation's script printed. Raises Unavailable."""
        with _storage(), suppress(FileNotFoundError):
            shutil.rmtree(self._root / operation_id)

    def settle(self, operation_id: str) -> None:
        """Remove what grew while the script ran; the result has it all."""
        for stream in STREAMS:
            self._part(operation_id, stream).unlink(missing_ok=True)

    def append(self, operation_id: str, stream: Stream, offset: int, data: bytes) -> int:
        """Put a piece of a running script's output at its place and return the bytes held.

        A piece that is there already changes nothing; another one at the same place replaces what was behind it.
        Secrets become stars, those too of which the first half came with the piece before.

        Raises Conflict for a piece that leaves a gap, with the offset to go on from, and Unavailable.
        """
        part = self._part(operation_id, stream)
        with _storage():
            part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with part.open("a+b") as file:
                size = file.seek(0, os.SEEK_END)
                if size < offset < LIVE_CAP:
                    raise Conflict(f"There is a gap; go on at byte {size}.", expected=size)
                data = data[: max(0, LIVE_CAP - offset)]
                start, begun = _line_before(file, min(offset, size))
                data = masked(begun + data)
                file.seek(start)
                if file.read(len(data)) != data:
                    file.truncate(start)
                    file.write(data)
                    size = start + len(data)
        return size

    def find(self, operation_id: str, receipt: str | None, stream: Stream) -> Path | None:
        """Return the file of a delivered result, or the one that grows, or None while there is neither."""
        part = self._part(operation_id, stream)
        file = part if receipt is None else self._root / operation_id / receipt / stream
        return file if file.is_file() else None

    def piece(
        self, operation_id: str, receipt: str | None, stream: Stream, offset: int, size: int, *, over: bool
    ) -> bytes:
        """Return up to ``size`` bytes from a place on, without half a character, of what will not change any more.

        While it grows (``over`` is False) that goes to the end of a line, or to what no later piece can make a secret.
        """
        file = self.find(operation_id, receipt, stream)
        if file is None:
            return b""
        try:
            with file.open("rb") as source:
                certain = source.seek(0, os.SEEK_END) if over or receipt is not None else _certain(source)
                if offset >= certain:  # what a reader names may lie behind every file that there can be
                    return b""
                source.seek(offset)
                found = source.read(min(size, certain - offset))
        except FileNotFoundError:  # the result has just taken its place
            return b""
        return found if offset + len(found) == certain else _whole(found)

    def _part(self, operation_id: str, stream: Stream) -> Path:
        return self._root / operation_id / f"{stream}.part"


@contextmanager
def _storage() -> Iterator[None]:
    try:
        yield
    except OSError as wrong:
        raise Unavailable(f"The output cannot be stored: {wrong.strerror}.", retry_after=DISK_RETRY) from wrong


def _changed_at(entry: Path) -> float:
    """Return when a directory or one of its files was last written; infinity for one that has just been removed."""
    try:
        return max(place.stat().st_mtime for place in (entry, *entry.iterdir()))
    except FileNotFoundError:
        return math.inf


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _line_before(file: BinaryIO, place: int) -> tuple[int, bytes]:
    """Return where the line begins that has not ended before a place, and its bytes up to there."""
    start = max(0, place - LONGEST_LINE)
    file.seek(start)
    before = file.read(place - start)
    cut = before.rfind(b"\n") + 1
    return start + cut, before[cut:]


def _certain(file: BinaryIO) -> int:
    """Return how many bytes of an output that grows are as they will be: :meth:`Outputs.append` masks whole lines."""
    size = file.seek(0, os.SEEK_END)
    start, begun = _line_before(file, size)
    return start if len(begun) < LONGEST_LINE else size - LONGEST_LINE


def _whole(text: bytes) -> bytes:
    """Return a text without the character that was cut at its end; what never was UTF-8 stays."""
    for back in range(1, min(4, len(text)) + 1):
        lead = text[-back]
        if lead >= 0xC0:
            width = 2 + (lead >= 0xE0) + (lead >= 0xF0)
            return text[:-back] if width > back else text
        if lead < 0x80:
            break
    return text
