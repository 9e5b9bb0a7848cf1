"""A reader of server-sent events that takes bytes cut anywhere (WHATWG HTML, section 9.2)."""

from collections.abc import Iterator
from dataclasses import dataclass

#: Bytes of one line and of one event's data; a longer event is passed over.
LINE_CAP = 1024 * 1024
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event; ``id`` is empty where the stream gave none with it."""

    name: str
    data: str
    id: str = ""


class Reader:
    """Turns bytes into events; an event counts as read only when its blank line has arrived."""

    def __init__(self, last_id: str = "", *, cap: int = LINE_CAP) -> None:
        """Begin with the id of the last event that an earlier stream delivered; ``cap`` as :data:`LINE_CAP`."""
        self.last_id, self._cap = last_id, cap
        #: Milliseconds the server asks to wait before a reconnect, once it has said so.
        self.retry_ms: int | None = None
        self.skipped = 0
        self._tail = bytearray()
        self._after_cr = False
        self._first = True
        self._overlong = False
        self._clear()

    def _clear(self) -> None:
        self._name = ""
        self._id: str | None = None
        self._data: list[str] = []
        self._size, self._broken = 0, False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Take the next bytes and yield the events they complete."""
        for line in self._lines(chunk):
            event = self._line(line)
            if event is not None:
                yield event

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        start = 0
        for end, byte in enumerate(chunk):
            if byte not in b"\r\n":
                continue
            if byte == 0x0A and end == start and self._after_cr and not self._tail:
                self._after_cr, start = False, end + 1
                continue
            self._keep(chunk[start:end])
            line = bytes(self._tail)
            self._tail.clear()
            self._after_cr, start = byte == 0x0D, end + 1
            yield line
        if start < len(chunk):
            self._after_cr = False
        self._keep(chunk[start:])

    def _keep(self, piece: bytes) -> None:
        if len(self._tail) + len(piece) > self._cap:
            self._overlong = True
            piece = piece[: self._cap - len(self._tail)]
        self._tail += piece

    def _line(self, line: bytes) -> Event | None:
        if self._first:
            line, self._first = line.removeprefix(_BOM), False
        if self._overlong:
            self._overlong, self._broken = False, True
            return None
        if not line:
            return self._dispatch()
        if not line.startswith(b":"):
            name, _, value = line.partition(b":")
            self._field(name, value.removeprefix(b" ").decode("utf-8", "replace"))
        return None

    def _field(self, name: bytes, value: str) -> None:
        if name == b"data":
            self._size += len(value) + 1  # an empty line takes memory as well
            self._broken = self._broken or self._size > self._cap
            if not self._broken:
                self._data.append(value)
        elif name == b"event":
            self._name = value
        elif name == b"id" and "\0" not in value:
            self._id = value
        elif name == b"retry" and value.isascii() and value.isdigit():
            self.retry_ms = int(value[:9])

    def _dispatch(self) -> Event | None:
        given, name, data, broken = self._id, self._name or "message", self._data, self._broken
        self._clear()
        if given is not None:
            self.last_id = given
        if broken:
            self.skipped += 1
            return None
        return Event(name=name, data="\n".join(data), id=given or "") if data else None
