"""HTTP by hand over asyncio's sockets: a client library would cost more than the server that is measured."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

#: Seconds one answer may take.
ANSWER = 60
RECORD = b"event: record\n"


class Stream(asyncio.Protocol):
    """One agent's open stream; ``heard`` is told the instant at which each piece of records came, and how many."""

    def __init__(self, heard: Callable[[float, int], None]) -> None:
        """Wait for the greeting."""
        self._heard = heard
        self._head = b""
        self.closed = False
        self.greeted: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the server."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Count records at once; only the greeting is read."""
        if self.greeted.done():
            if count := data.count(RECORD):
                self._heard(time.perf_counter(), count)
            return
        self._head += data
        mark = self._head.find(b'"clientId":"')
        if mark >= 0 and (end := self._head.find(b'"', mark + 12)) >= 0:
            self.greeted.set_result(self._head[mark + 12 : end].decode())
            self._head = b""

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the stream has ended."""
        del exc
        self.closed = True
        if not self.greeted.done():
            self.greeted.set_exception(ConnectionError(f"the stream ended before its greeting: {self._head[:200]!r}"))


class Connection:
    """One kept connection on which requests follow each other."""

    def __init__(self, host: str, port: int) -> None:
        """Connect with the first request."""
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, body: Any, token: str = "") -> tuple[int, bytes]:
        """Send JSON and return status and body; SystemExit where the server does not speak as it should."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        self._writer.write(request(method, path, self._host, token, json.dumps(body).encode()))
        async with asyncio.timeout(ANSWER):
            head = await self._reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            length = int(fields.get(b"content-length", b"0"))
            return int(head[9:12]), await self._reader.readexactly(length)

    def close(self) -> None:
        """Let go."""
        if self._writer is not None:
            self._writer.close()


def request(method: str, path: str, host: str, token: str, body: bytes = b"") -> bytes:
    """Write one request."""
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{bearer}"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body
