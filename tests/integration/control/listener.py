"""A listener to the realtime stream at the level of sockets, so that a test decides when it reads."""

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from tests.integration.control.conftest import Agent, Server

CHANNELS = ["investigations", "patch_operations"]


@dataclass(frozen=True)
class Event:
    """One event as it came."""

    name: str
    id: str
    data: Any


class Listener:
    """One open stream."""

    def __init__(
        self,
        server: Server,
        token: str = "",
        last_id: str = "",
        receive_buffer: int = 0,
        path: str = "/api/realtime",
    ) -> None:
        self._socket = socket.socket()
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.connect(("127.0.0.1", server.port))
        lines = [f"GET {path} HTTP/1.1", "Host: test", "Connection: close"]
        lines += [f"Authorization: Bearer {token}"] if token else []
        lines += [f"Last-Event-ID: {last_id}"] if last_id else []
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._bytes = self._raw = b""
        self._chunked = False
        self.comments = 0
        self.fields: list[str] = []
        head = self._until(b"\r\n\r\n", 10).decode().split("\r\n")
        self.status = int(head[0].split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        self._raw, self._bytes, self._chunked = self._bytes, b"", "transfer-encoding" in self.headers
        self._take(b"")

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def next(self, timeout: float = 10) -> Event:
        """Return the next event; TimeoutError when none comes, EOFError when the stream has ended."""
        deadline = time.monotonic() + timeout
        while True:
            lines = self._until(b"\n\n", deadline - time.monotonic()).decode().split("\n")
            self.comments += sum(line.startswith(":") for line in lines)
            fields = dict(line.split(": ", 1) for line in lines if line and not line.startswith(":"))
            if "data" in fields:
                self.fields = list(fields)
                return Event(fields.get("event", ""), fields.get("id", ""), json.loads(fields["data"]))

    def client_id(self) -> str:
        """Read the first event."""
        connect = self.next()
        assert connect.name == "connect"
        name: str = connect.data["clientId"]
        return name

    def subscribe(self, agent: Agent, channels: list[str] | None = None) -> httpx.Response:
        """Read the first event and bind the stream to an agent."""
        said = {"clientId": self.client_id(), "subscriptions": CHANNELS if channels is None else channels}
        return agent.client.post("/api/realtime", json=said)

    def is_silent(self, seconds: float = 0.5) -> bool:
        """Tell whether nothing comes for some time."""
        try:
            self.next(seconds)
        except TimeoutError:
            return True
        return False

    def drain(self, timeout: float) -> int:
        """Read until the other side ends the stream and return the bytes; TimeoutError when it does not."""
        self._socket.settimeout(timeout)
        size = len(self._bytes)
        while piece := self._socket.recv(1 << 20):
            size += len(piece)
        return size

    def _until(self, mark: bytes, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while mark not in self._bytes:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            piece = self._socket.recv(65536)
            if not piece:
                raise EOFError
            self._take(piece)
        found, _, self._bytes = self._bytes.partition(mark)
        return found

    def _take(self, piece: bytes) -> None:
        """Add what was received, without the lengths of chunks (RFC 9112, section 7.1)."""
        self._raw += piece
        if not self._chunked:
            self._bytes, self._raw = self._bytes + self._raw, b""
        while (line := self._raw.partition(b"\r\n"))[1] and len(line[2]) >= int(line[0], 16) + 2:
            size = int(line[0], 16)
            self._bytes += line[2][:size]
            self._raw = line[2][size + 2 :]
            if not size:
                return


def listening(server: Server, agent: Agent, **options: Any) -> Listener:
    """Open a stream for an agent and subscribe it to every channel."""
    stream = Listener(server, **options)
    answer = stream.subscribe(agent)
    assert answer.status_code == 204, answer.text
    return stream


def order(operator: httpx.Client, agent: Agent, **fields: Any) -> dict[str, Any]:
    """Place a patch order and return it."""
    answer = operator.post("/api/patches", json={"agent_id": agent.id, "mode": "dry-run", **fields})
    assert answer.status_code == 201, answer.text
    placed: dict[str, Any] = answer.json()
    return placed


def deliver(
    agent: Agent, operation_id: str, stdout: bytes = b"out\n", stderr: bytes = b"", /, **told: Any
) -> httpx.Response:
    """Upload a result as an agent does."""
    metadata = {"operation_id": operation_id, "success": True, "duration": 15234, **told}
    files = {
        "metadata": (None, json.dumps(metadata), "application/json"),
        "stdout": ("stdout.txt", stdout, "text/plain"),
        "stderr": ("stderr.txt", stderr, "text/plain"),
    }
    return agent.client.post(f"/api/patches/{operation_id}/results", files=files)


def eventually(check: Callable[[], bool], seconds: float = 10) -> bool:
    """Ask until it is so."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
