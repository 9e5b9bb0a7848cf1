"""The network between agent and control plane: bytes in memory, and everything that can happen to them."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.types import Message

from tests.fakes.life import Life
from tests.integration.faults.plane import Plane, refused

PIECE = 16 * 1024
#: Pieces of an endless answer that the network holds for somebody who does not read.
HELD = 8


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What happens to one request; times in seconds."""

    #: It never arrives, or its answer never does; at once, or found out by silence.
    lost: bool = False
    answer_lost: bool = False
    silent: bool = False
    #: It arrives twice; the second answer is the one that is read. Or once more, so much later.
    twice: bool = False
    again: float = 0.0
    before: float = 0.0
    after: float = 0.0
    #: Bytes of the upload after which the line is cut, and what else happens then.
    cut_upload: int | None = None
    strike: Callable[[], None] | None = None
    #: Bytes of an endless answer after which it is cut, or stands still for ever.
    cut_stream: int | None = None
    stall: bool = False
    #: Each piece of an endless answer comes twice.
    doubled: bool = False
    #: How long the listener does something else between two pieces; what it has not read yet holds the writer up.
    slow: float = 0.0


FAIR = Trouble()
Weather = Callable[[str], Trouble]


@dataclass
class Network:
    """One agent's line; ``weather`` decides about each request by its name."""

    plane: Plane
    weather: Weather = lambda _name: FAIR
    seen: Counter[str] = field(default_factory=Counter)
    hurt: Counter[str] = field(default_factory=Counter)
    stray: list[asyncio.Task[None]] = field(default_factory=list)

    def line(self, life: Life) -> "Line":
        """Return the transport of one agent's process."""
        return Line(self, life)

    async def repeat(self, request: httpx.Request, content: bytes, later: float) -> None:
        """Have a request arrive once more, when nobody waits for its answer."""
        await asyncio.sleep(later)
        with contextlib.suppress(httpx.TransportError):
            await Exchange(self.plane, request, content, FAIR).response()


class Line(httpx.AsyncBaseTransport):
    """What httpx sends its requests through."""

    def __init__(self, network: Network, life: Life) -> None:
        self._network, self._life = network, life

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = named(request)
        content = b"".join([piece async for piece in request.stream])
        await self._life.step(f"before {name}")
        self._network.seen[name] += 1
        trouble = self._network.weather(name)
        try:
            answer = await self._travel(request, content, trouble)
        except httpx.TransportError:
            self._network.hurt[name] += 1
            raise
        await self._life.step(f"after {name}")
        return answer

    async def _travel(self, request: httpx.Request, content: bytes, trouble: Trouble) -> httpx.Response:
        await asyncio.sleep(trouble.before)
        if trouble.lost:
            await _silence(trouble, request, "connect")
            raise refused()
        if trouble.twice:
            await Exchange(self._network.plane, request, content, Trouble()).response()
        if trouble.again:
            again = self._network.repeat(request, content, trouble.again)
            self._network.stray.append(asyncio.create_task(again))
        exchange = Exchange(self._network.plane, request, content, trouble)
        answer = await exchange.response()
        await asyncio.sleep(trouble.after)
        if trouble.answer_lost:
            await _silence(trouble, request, "read")
            raise httpx.ReadError("the line was cut before the answer")
        return answer


class Exchange(httpx.AsyncByteStream):
    """One request on its way through the control plane, and its answer on its way back."""

    def __init__(self, plane: Plane, request: httpx.Request, content: bytes, trouble: Trouble) -> None:
        self._plane, self._request, self._trouble = plane, request, trouble
        cut = trouble.cut_upload
        self._cut = cut is not None and cut < len(content)
        self._rest = [content[at : at + PIECE] for at in range(0, len(content), PIECE)] or [b""]
        if cut is not None and self._cut:
            self._rest = [content[at : min(at + PIECE, cut)] for at in range(0, cut + 1, PIECE)]
        self._head: asyncio.Future[tuple[int, Any]] = asyncio.get_running_loop().create_future()
        self._out: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._gone, self._read = asyncio.Event(), asyncio.Event()
        self._whole = self._endless = False

    async def response(self) -> httpx.Response:
        """Send the request and return the answer; an endless one as soon as it begins."""
        if self._plane.app is None:
            raise refused()
        self._plane.serve(self._scope(), self._receive, self._send, self._break)
        try:
            status, headers = await self._head
            self._endless = any(value.startswith(b"text/event-stream") for _, value in headers)
            if self._endless:
                return httpx.Response(status, headers=headers, stream=self)
            pieces = [piece async for piece in self]
        except BaseException:
            self._gone.set()
            raise
        return httpx.Response(status, headers=headers, content=b"".join(pieces))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        cut = self._trouble.cut_stream if self._endless else None
        while True:
            await asyncio.sleep(self._trouble.slow if self._endless else 0)
            piece = await self._next()
            self._read.set()
            if piece is None:
                if not self._whole:
                    raise httpx.ReadError("the line was cut in the answer")
                return
            if cut is not None and len(piece) >= cut:
                yield piece[:cut]
                if self._trouble.stall:
                    await self._silence()
                raise httpx.ReadError("the line was cut in the answer")
            cut = None if cut is None else cut - len(piece)
            yield piece
            if self._trouble.doubled and self._endless:
                yield piece

    async def aclose(self) -> None:
        """Hang up."""
        self._gone.set()
        self._read.set()

    async def _next(self) -> bytes | None:
        limit = self._request.extensions.get("timeout", {}).get("read")
        try:
            async with asyncio.timeout(limit):
                return await self._out.get()
        except TimeoutError:
            raise httpx.ReadTimeout("nothing comes any more") from None

    async def _silence(self) -> None:
        await _silence(Trouble(silent=True), self._request, "read")

    def _break(self) -> None:
        if not self._head.done():
            self._head.set_exception(httpx.ReadError("the other side has gone"))
            self._head.exception()
        self._out.put_nowait(None)

    def _scope(self) -> dict[str, Any]:
        url = self._request.url
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self._request.method,
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in self._request.headers.raw],
            "client": ("192.0.2.7", 40000),
            "server": (url.host, url.port or 80),
        }

    async def _receive(self) -> Message:
        if self._rest:
            piece = self._rest.pop(0)
            await asyncio.sleep(0)
            more = bool(self._rest) or self._cut
            return {"type": "http.request", "body": piece, "more_body": more}
        if self._cut and not self._gone.is_set():
            if self._trouble.strike is not None:
                self._trouble.strike()
            self._gone.set()
            if not self._head.done():
                self._head.set_exception(httpx.WriteError("the line was cut in the upload"))
                self._head.exception()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if not self._head.done():
                self._head.set_result((message["status"], message["headers"]))
            return
        while self._endless and self._out.qsize() >= HELD and not self._gone.is_set():
            self._read.clear()
            await self._read.wait()
        if message.get("body"):
            self._out.put_nowait(message["body"])
        self._whole = self._whole or not message.get("more_body", False)


async def _silence(trouble: Trouble, request: httpx.Request, kind: str) -> None:
    limit = request.extensions.get("timeout", {}).get(kind)
    if trouble.silent and limit:
        await asyncio.sleep(limit)
        raise httpx.ReadTimeout("nothing comes any more") if kind == "read" else httpx.ConnectTimeout("no answer")


def named(request: httpx.Request) -> str:
    """Return what a request is called in schedules: its method and the words of its path that are no ids."""
    words = [word for word in request.url.path.split("/") if word.replace("_", "").isalpha()]
    return f"{request.method} {'/'.join(words)}"


@contextlib.asynccontextmanager
async def client_of(plane: Plane, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """Open a person's client on a line of its own."""
    line = Network(plane).line(Life(lambda: None))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(transport=line, base_url="http://127.0.0.1:8000", headers=headers) as client:
        yield client
