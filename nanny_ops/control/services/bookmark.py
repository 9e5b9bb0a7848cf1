"""What a reader of a stream has been told of each operation, written into the id of an event.

A reader who comes back with that id goes on behind it, whichever control plane answers and however long it was away:
nothing about readers is kept here. Bytes: a version, two of a checksum of what is watched, and for each operation one
of ``UNTOLD``, ``DONE``, or ``PARTLY`` with five numbers of seven bits a byte; long ones are compressed.
"""

import base64
import binascii
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

UNTOLD, DONE, PARTLY = 0, 1, 2
PLAIN, COMPRESSED = 1, 2
#: Bytes from which on one is compressed, of one that was unpacked, and characters of its text, at most.
SHORT, UNPACKED, LONGEST = 96, 64 * 1024, 8 * 1024


@dataclass
class Mark:
    """How far a reader has come with one operation; outputs in bytes."""

    #: A bit for each status that was told, and a checksum of the last one with its reason.
    statuses: int = 0
    said: int = 0
    #: Steps that have ended and were told, and whether the next one's beginning was.
    steps: int = 0
    begun: bool = False
    stdout: int = 0
    stderr: int = 0
    done: bool = False

    @property
    def is_partly_read(self) -> bool:
        """Tell whether steps or outputs were told, and not yet all there is."""
        return not self.done and bool(self.steps or self.begun or self.stdout or self.stderr)


def write(key: str, marks: Sequence[Mark]) -> str:
    """Return the text of these marks for a stream about ``key``."""
    body = b"".join(_packed(mark) for mark in marks)
    version = COMPRESSED if len(body) > SHORT else PLAIN
    text = zlib.compress(body) if version == COMPRESSED else body
    return base64.urlsafe_b64encode(bytes([version]) + _sum(key) + text).rstrip(b"=").decode()


def read(text: str, key: str, count: int) -> list[Mark] | None:
    """Return the marks of a text for the ``count`` operations of ``key``; None for a text that is not its.

    None at all are those of a reader who was told the end.
    """
    if not text.isascii() or len(text) > LONGEST:
        return None
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        body = _unpacked(data[0], data[3:])
        marks = list(_marks(iter(body)))
    except (binascii.Error, zlib.error, ValueError, IndexError):
        return None
    if data[1:3] != _sum(key) or len(marks) > count:
        return None
    return marks and marks + [Mark() for _ in range(count - len(marks))]


def _sum(key: str) -> bytes:
    return zlib.crc32(key.encode()).to_bytes(4, "big")[:2]


def _unpacked(version: int, data: bytes) -> bytes:
    if version == PLAIN:
        return data
    if version != COMPRESSED:
        raise ValueError(version)
    return zlib.decompressobj().decompress(data, UNPACKED)


def _packed(mark: Mark) -> bytes:
    if mark.done:
        return bytes([DONE])
    if mark == Mark():
        return bytes([UNTOLD])
    numbers = (mark.statuses, mark.said, mark.steps * 2 + mark.begun, mark.stdout, mark.stderr)
    return bytes([PARTLY]) + b"".join(_number(number) for number in numbers)


def _number(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _marks(data: Iterator[int]) -> Iterator[Mark]:
    for kind in data:
        if kind == PARTLY:
            statuses, said, steps, stdout, stderr = (_read_number(data) for _ in range(5))
            yield Mark(statuses, said, steps // 2, bool(steps % 2), stdout, stderr)
        elif kind in (UNTOLD, DONE):
            yield Mark(done=kind == DONE)
        else:
            raise ValueError(kind)


def _read_number(data: Iterator[int]) -> int:
    value = 0
    for place in range(10):
        byte = next(data, None)
        if byte is None:
            break
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value
    raise ValueError(value)
