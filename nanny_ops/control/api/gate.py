"""What every request passes: an id, a version header, the gate while starting or draining, and the counters.

Plain ASGI: a wrapped request object per call would cost more than the rest of the ingest path together.
"""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import Counter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nanny_ops.control.api.body import PATIENCE
from nanny_ops.control.api.problem import render
from nanny_ops.control.api.state import State
from nanny_ops.errors import BodyLate, NannyError, TooLarge, Unavailable

#: Version of the operator API (section "API versioning" of its document).
API_VERSION = "2.0.0"
OPEN_WHILE_STARTING = ("/health", "/health/ready", "/metrics")
#: Bytes of a body that a framework reads into memory, asked or not, before anybody knows who sends it; a script of
#: 1 MiB written with escapes fits.
BODY_CAP = 8 * 1024 * 1024
#: Ends of addresses that stream to disk, with a cap of their own, once they know the sender.
STREAMED = ("/results", "/result", "/api/releases")
#: An endpoint that is called here, with nothing in between; it is documented by a router like all others.
Direct = Callable[[State, Scope, Receive, Send], Awaitable[None]]
#: Names requests in logs; a system call for each would hand the interpreter to another thread, and wait to get it back.
_ids = random.Random(os.urandom(32))  # noqa: S311  nothing is kept secret by them
_VERSION_HEADER = (b"x-api-version", API_VERSION.encode())
_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")


class Gate:
    """Wraps the app. ``direct`` holds the endpoints of hot paths by method and path."""

    def __init__(
        self, app: ASGIApp, state: State, direct: Mapping[tuple[str, str], Direct], patience: float = PATIENCE
    ) -> None:
        """Let requests through to ``app`` while ``state`` is ready; a body must arrive in ``patience`` seconds."""
        self._app = app
        self._patience = patience
        self._state = state
        self._direct = direct
        self._answered: dict[tuple[str, int], Counter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request, or refuse it with 503."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = _Call(self, scope, send)
        if self._state.phase != "ready" and scope["path"] not in OPEN_WHILE_STARTING:
            wrong = Unavailable(f"The control plane is {self._state.phase}.")
            await render(Request(scope, receive), wrong)(scope, receive, call.send)
        elif (direct := self._direct.get((scope["method"], scope["path"]))) is not None:
            await self._call(direct, scope, receive, call.send)
        elif scope["path"].startswith("/api/patches/") and scope["path"].endswith(STREAMED):
            await self._app(scope, receive, call.send)
        elif _announced(scope) > BODY_CAP:
            too_large = TooLarge(f"A body may have {BODY_CAP} bytes.", limit=BODY_CAP)
            await render(Request(scope, receive), too_large)(scope, receive, call.send)
        else:
            await self._app(scope, _capped(receive, self._patience), call.send)

    def count(self, method: str, status: int, seconds: float | None) -> None:
        """Count an answer, and how long it took unless it is a stream."""
        answered = self._answered.get((method, status))
        if answered is None:
            answered = self._answered[method, status] = self._state.counts.requests.labels(method, str(status))
        answered.inc()
        if seconds is not None:
            self._state.counts.seconds.observe(seconds)

    async def _call(self, direct: Direct, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await direct(self._state, scope, receive, send)
        except NannyError as wrong:
            await render(Request(scope, receive), wrong)(scope, receive, send)


def _announced(scope: Scope) -> int:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(length) if length.isdigit() else 0


def _capped(receive: Receive, patience: float) -> Receive:
    """Count what comes without an announced length, and end it with 413 beyond the cap and with 408 when it is late.

    What is waited for after the body is the end of the connection: that may take as long as an answer streams.
    """
    size = 0
    coming = True
    until = asyncio.get_running_loop().time() + patience

    async def capped() -> Message:
        nonlocal size, coming
        if not coming:
            return await receive()
        # HTTPException is the one error that the framework's reading lets pass.
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise HTTPException(BodyLate.status) from None
        coming = message.get("more_body", False)
        size += len(message.get("body", b""))
        if size > BODY_CAP:
            raise HTTPException(TooLarge.status)
        return message

    return capped


class _Call:
    __slots__ = ("_began", "_gate", "_id", "_method", "_send", "_state")

    def __init__(self, gate: Gate, scope: Scope, send: Send) -> None:
        self._began = time.perf_counter()
        self._gate, self._send, self._method = gate, send, scope["method"]
        self._id = f"{_ids.getrandbits(128):032x}"
        self._state = scope.setdefault("state", {})
        self._state["request_id"] = self._id

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"]
            streams = _STREAM in headers
            headers += ((b"x-request-id", self._id.encode()), _VERSION_HEADER)
            if (quota := self._state.get("quota")) is not None:
                headers += quota.headers
            seconds = None if streams else time.perf_counter() - self._began
            self._gate.count(self._method, message["status"], seconds)
        await self._send(message)
