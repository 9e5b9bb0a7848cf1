"""How the agent speaks HTTP to its control plane; the one file that imports httpx."""

import asyncio
import contextlib
import logging
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import urlsplit

import msgspec

from nanny_ops.agent import backoff
from nanny_ops.agent.settings import is_loopback
from nanny_ops.errors import AgentRevoked, ForeignHost, IdentityRefused, RateLimited, Rejected, TooLarge, Unreachable
from nanny_ops.protocol.realtime import SILENCE

# httpx brings rich and pygments along (6 MiB) wherever click is installed, for a command that no daemon uses.
_click = sys.modules.get("click")
sys.modules["click"] = cast("ModuleType", None)
import httpx  # noqa: E402

if _click is None:
    del sys.modules["click"]
else:
    sys.modules["click"] = _click

log = logging.getLogger(__name__)
Sleep = Callable[[float], Awaitable[None]]
T = TypeVar("T")
#: Bytes of an answer that are read, at most.
ANSWER_CAP = 8 * 1024 * 1024
#: Seconds for one try: to connect, and between two pieces of an answer or a request.
CONNECT, PIECE = 10.0, 30.0
#: Seconds one try may take from end to end; an upload of 32 MiB over a slow line fits.
TRY_DEADLINE = 300.0


class TokenSource(Protocol):
    """Where the access token comes from."""

    async def access(self) -> str:
        """Return an access token that should be valid."""

    async def renew(self, stale: str) -> str:
        """Return a token other than ``stale``, asking the control plane for it once."""


@dataclass(frozen=True)
class Part:
    """One part of a multipart body; a path is streamed from disk, and an absent file is an empty one."""

    name: str
    content: bytes | Path
    type: str
    filename: str = ""
    #: Bytes that are sent of a file, at most; 0 means all.
    cap: int = 0


@dataclass(frozen=True)
class Answer:
    """A successful answer."""

    status: int
    body: bytes

    def read(self, kind: type[T]) -> T:
        """Decode the JSON body. Raises Rejected when it is not what the protocol says."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as wrong:
            raise Rejected(f"The control plane's answer cannot be understood: {wrong}", status=self.status) from wrong


class ApiClient:
    """Requests with bearer token, one refresh after 401, and bounded retries.

    Once the control plane has refused the agent's identity for good, ``refused`` is set and nothing is sent any more.
    """

    def __init__(
        self,
        url: str,
        *,
        context: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Sleep = asyncio.sleep,
        random: backoff.Random,
        agent: str = "nanny-agent",
    ) -> None:
        """Take the control plane's address and how to wait; ``transport`` replaces the network in tests."""
        self.url = url.rstrip("/")
        self.tokens: TokenSource | None = None
        self.refused = asyncio.Event()
        #: Set by the first good answer that carried this agent's identity.
        self.heard = asyncio.Event()
        self._sleep, self._random = sleep, random
        loopback = is_loopback(urlsplit(self.url).hostname or "")
        self._http = httpx.AsyncClient(
            transport=transport,
            verify=context if context is not None else False,
            timeout=httpx.Timeout(PIECE, connect=CONNECT),
            limits=httpx.Limits(max_connections=8, max_keepalive_connections=4),
            follow_redirects=False,
            trust_env=not loopback,
            headers={"User-Agent": agent},
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def resolve(self, address: str) -> str:
        """Return the full address of something on this control plane. Raises ForeignHost."""
        if any(sign <= " " or sign in "\\\x7f" for sign in address):
            raise ForeignHost(f"The address {address!r} is malformed.")
        try:
            parts, own = urlsplit(address), urlsplit(self.url)
            if parts.scheme or parts.netloc:
                if _origin(address) != _origin(self.url) or parts.username is not None:
                    raise ForeignHost(f"{address} is not on {own.scheme}://{own.netloc}.")
                return address
        except ValueError as wrong:
            raise ForeignHost(f"The address {address!r} is malformed: {wrong}.") from wrong
        return self.url + "/" + address.lstrip("/")

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        parts: list[Part] | None = None,
        auth: bool = True,
        tries: int = backoff.TRIES,
        waits: bool = True,
    ) -> Answer:
        """Send one request and return its 2xx answer.

        ``body`` is sent as JSON, ``parts`` as multipart. A 429 is waited out here, unless ``waits`` is false. Raises
        Unreachable after the last try, Rejected for any other answer, AgentRevoked, RateLimited with ``retry_after``.
        """
        url, trouble = self.resolve(path), Unreachable()
        content = None if body is None else msgspec.json.encode(body)
        for attempt in range(tries):
            wait: float | None = None
            try:
                status, headers, answer = await self._authorised(method, url, content, parts, auth=auth)
            except (httpx.HTTPError, TimeoutError, ssl.SSLError, OSError) as wrong:
                trouble = Unreachable(f"{method} {path}: {_say(wrong)}")
            else:
                if 200 <= status < 300:
                    if auth:
                        self.heard.set()
                    return Answer(status, answer)
                wait = backoff.retry_after(headers.get("retry-after"))
                refusal = self._refusal(method, path, status, answer, wait)
                if not backoff.is_retryable(status):
                    raise refusal
                if status == RateLimited.status and not waits:
                    raise RateLimited(refusal.message, retry_after=backoff.STREAM_CAP if wait is None else wait)
                trouble = Unreachable(refusal.message, status=status)
            if attempt + 1 < tries:
                pause = backoff.delay(attempt, self._random) if wait is None else wait
                log.info("event=retry try=%d wait=%.1f reason=%r", attempt + 1, pause, trouble.message)
                await self._sleep(pause)
        raise trouble

    @contextlib.asynccontextmanager
    async def stream(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open an endless answer and hand over its bytes; silence of 45 s ends it. Raises Unreachable, Rejected."""
        try:
            async with self._open(path, headers) as response:
                if response.status_code != 200:
                    raise self._refusal("GET", path, response.status_code, await _body(response))
                yield response.aiter_bytes()
        except (httpx.HTTPError, httpx.StreamError, ssl.SSLError) as wrong:
            raise Unreachable(f"GET {path}: {_say(wrong)}") from wrong

    @contextlib.asynccontextmanager
    async def download(self, path: str, begin: int) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """Open a large answer from a byte on; hand over its status, 200 or 206, and its bytes.

        Silence of 45 s ends it. Raises Unreachable, Rejected, ForeignHost.
        """
        headers = {"Accept": "application/x-tar", **({"Range": f"bytes={begin}-"} if begin else {})}
        try:
            async with self._open(path, headers) as response:
                if response.status_code not in {200, 206}:
                    raise self._refusal("GET", path, response.status_code, await _body(response))
                yield response.status_code, response.aiter_bytes()
        except (httpx.HTTPError, httpx.StreamError, ssl.SSLError) as wrong:
            raise Unreachable(f"GET {path}: {_say(wrong)}") from wrong

    @contextlib.asynccontextmanager
    async def _open(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        token = await self._token()
        for second in (False, True):
            sent = {"Accept": "text/event-stream", **headers, "Accept-Encoding": "identity", **_bearer(token)}
            timeout = httpx.Timeout(PIECE, connect=CONNECT, read=SILENCE)
            async with self._http.stream("GET", self.resolve(path), headers=sent, timeout=timeout) as response:
                if response.status_code != 401 or second or self.tokens is None:
                    yield response
                    return
            token = await self._renew(token)

    async def _renew(self, stale: str) -> str:
        if self.tokens is None:
            return stale
        try:
            return await self.tokens.renew(stale)
        except IdentityRefused:
            self.refused.set()
            raise

    async def _token(self) -> str:
        if self.refused.is_set():
            raise AgentRevoked
        try:
            return await self.tokens.access() if self.tokens is not None else ""
        except IdentityRefused:
            self.refused.set()
            raise

    async def _authorised(
        self, method: str, url: str, content: bytes | None, parts: list[Part] | None, *, auth: bool
    ) -> tuple[int, Mapping[str, str], bytes]:
        token = await self._token() if auth else ""
        got = await self._once(method, url, content, parts, token)
        if got[0] == 401 and auth and self.tokens is not None:
            token = await self._renew(token)
            got = await self._once(method, url, content, parts, token)
        return got

    async def _once(
        self, method: str, url: str, content: bytes | None, parts: list[Part] | None, token: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = _bearer(token)
        if content is not None:
            headers["Content-Type"] = "application/json"
        with contextlib.ExitStack() as stack:
            files = [_field(part, stack) for part in parts] if parts is not None else None
            async with (
                asyncio.timeout(TRY_DEADLINE),
                self._http.stream(method, url, headers=headers, content=content, files=files) as response,
            ):
                return response.status_code, response.headers, await _body(response)

    def _refusal(
        self, method: str, path: str, status: int, body: bytes, wait: float | None = None
    ) -> Rejected | AgentRevoked:
        try:
            told = msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            told = {}
        code, text = str(told.get("error", ""))[:64], str(told.get("error_description", ""))[:500]
        if status == 403 and code == AgentRevoked.code:
            self.refused.set()
            return AgentRevoked(text)
        return Rejected(
            f"{method} {path}: {status} {code} {text}".rstrip(), status=status, error=code, retry_after=wait
        )


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _say(wrong: BaseException) -> str:
    return f"{type(wrong).__name__}: {wrong}".rstrip(": ")


class _Head:
    """The beginning of an open file, for an upload that must stay small."""

    def __init__(self, file: Any, cap: int) -> None:
        self._file, self._left = file, cap

    def read(self, size: int) -> bytes:
        piece: bytes = self._file.read(min(size, self._left))
        self._left -= len(piece)
        return piece


def _field(part: Part, stack: contextlib.ExitStack) -> tuple[str, tuple[str | None, Any, str]]:
    content: Any = part.content
    if isinstance(content, Path):
        try:
            file = stack.enter_context(content.open("rb"))
            content = _Head(file, part.cap) if part.cap else file
        except FileNotFoundError:
            content = b""
    return part.name, (part.filename or None, content, part.type)


async def _body(response: httpx.Response) -> bytes:
    pieces, size = [], 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > ANSWER_CAP:
            raise TooLarge(f"The control plane's answer is larger than {ANSWER_CAP} bytes.")
        pieces.append(piece)
    return b"".join(pieces)
