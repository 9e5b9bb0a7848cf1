"""What every request passes: an id, a version header, the gate while starting or draining, and the counters.

Plain ASGI: a wrapped request object per call would cost more than the rest of the ingest path together.
"""

import time
import uuid

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nanny_ops.control.api.problem import render
from nanny_ops.control.api.state import State
from nanny_ops.errors import Unavailable

#: Version of the operator API (section "API versioning" of its document).
API_VERSION = "2.0.0"
OPEN_WHILE_STARTING = ("/health", "/health/ready", "/metrics")


class Gate:
    """Wraps the app."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        """Let requests through to ``app`` while ``state`` is ready."""
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request, or refuse it with 503."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = _Call(self._state, scope, send)
        if self._state.phase != "ready" and scope["path"] not in OPEN_WHILE_STARTING:
            request = Request(scope, receive)
            await render(request, Unavailable(f"The control plane is {self._state.phase}."))(scope, receive, call.send)
            return
        await self._app(scope, receive, call.send)


class _Call:
    __slots__ = ("_began", "_id", "_method", "_send", "_state")

    def __init__(self, state: State, scope: Scope, send: Send) -> None:
        self._began = time.perf_counter()
        self._state, self._send, self._method = state, send, scope["method"]
        self._id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = self._id

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._id
            headers["X-API-Version"] = API_VERSION
            self._state.counts.requests.labels(self._method, str(message["status"])).inc()
            if headers.get("content-type", "") != "text/event-stream; charset=utf-8":
                self._state.counts.seconds.observe(time.perf_counter() - self._began)
        await self._send(message)
