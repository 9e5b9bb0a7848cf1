"""A small HTTPS server over h11, because the error's text must stand in the reason phrase, which ASGI cannot say."""

import asyncio
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import h11

SERVER = "pve-api-daemon/3.0"
#: Bytes of a request's body that are taken.
BODY_CAP = 1 << 20
#: Seconds that an idle connection is kept, and that a request may take to arrive.
PATIENCE = 30.0
READ = 65536
#: Threads that answer; a call to LXC blocks its thread for some milliseconds.
THREADS = 8


@dataclass(frozen=True)
class Request:
    """One request as it arrived; ``target`` with its query, header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """One answer; ``delay`` in seconds before it is sent. Errors close the connection.

    ``withheld`` is the number of bytes at the answer's end that never come, the connection being cut instead.
    """

    status: int
    reason: str
    body: bytes
    content_type: str = "application/json;charset=UTF-8"
    delay: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()
    withheld: int = 0


#: Answers a request; called in a thread.
Answer = Callable[[Request], Reply]


@dataclass
class _Listener:
    answer: Answer
    context: ssl.SSLContext


@dataclass
class Server:
    """Several listeners in one thread; use :meth:`listen` after :meth:`start`."""

    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "lab-api"), repr=False)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _open: set[asyncio.Task[None]] = field(default_factory=set)
    _running: "tuple[asyncio.AbstractEventLoop, threading.Thread] | None" = None

    def start(self) -> None:
        """Start the thread."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="lab-server", daemon=True)
        self._running = loop, thread
        thread.start()

    def listen(self, answer: Answer, context: ssl.SSLContext, address: str = "127.0.0.1") -> int:
        """Begin to answer on a free port of an address and return its number."""
        if self._running is None:
            raise RuntimeError("start the server first")
        opening = self._open_listener(_Listener(answer, context), address)
        return asyncio.run_coroutine_threadsafe(opening, self._running[0]).result(PATIENCE)

    def close(self) -> None:
        """Stop listening, drop connections, end the threads; safe to call twice."""
        if self._running is not None:
            loop, thread = self._running
            self._running = None
            asyncio.run_coroutine_threadsafe(self._close(), loop).result(PATIENCE)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(PATIENCE)
            loop.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _open_listener(self, listener: _Listener, address: str) -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(listener, reader, writer)

        server = await asyncio.start_server(serve, address, 0, ssl=listener.context, backlog=512)
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await asyncio.sleep(0)  # let the transports' own callbacks run before the loop ends

    async def _serve(self, listener: _Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._converse(listener.answer, reader, writer)
        except (OSError, h11.RemoteProtocolError, TimeoutError):
            pass  # the peer went away or talked nonsense; there is nobody left to tell
        except asyncio.CancelledError:
            writer.transport.abort()  # the lab closes; asyncio's own callback cannot bear a cancelled connection
        finally:
            self._open.discard(task)
            writer.close()
            with suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1)

    async def _converse(self, answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        while True:
            request = await _next_request(connection, reader)
            if request is None:
                return
            reply = await asyncio.get_running_loop().run_in_executor(self._threads, answer, request)
            await asyncio.sleep(reply.delay)
            answered = _encode(connection, reply)
            writer.write(answered[: max(0, len(answered) - reply.withheld)])
            await writer.drain()
            if reply.withheld:
                writer.transport.abort()
                return
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()


async def _next_request(connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    head: h11.Request | None = None
    body = bytearray()
    async with asyncio.timeout(PATIENCE):
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(READ))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > BODY_CAP:
                    return None
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
                return Request(head.method.decode(), head.target.decode("latin-1"), headers, bytes(body))
            else:
                return None


def _encode(connection: h11.Connection, reply: Reply) -> bytes:
    failed = reply.status >= 400
    headers = [
        ("Cache-Control", "max-age=0"),
        ("Connection", "close" if failed else "Keep-Alive"),
        ("Pragma", "no-cache"),
        ("Server", SERVER),
        ("Content-Length", str(len(reply.body))),
    ]
    if reply.body and reply.content_type:
        headers.append(("Content-Type", reply.content_type))
    headers += reply.headers
    reason = reply.reason.replace("\n", " ").encode("latin-1", "replace")
    parts = [connection.send(h11.Response(status_code=reply.status, reason=reason, headers=headers))]
    if reply.body:
        parts.append(connection.send(h11.Data(data=reply.body)))
    parts.append(connection.send(h11.EndOfMessage()))
    return b"".join(part for part in parts if part)
