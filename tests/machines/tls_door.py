"""TLS in front of a control plane on loopback, at an address that a machine reaches, by an authority of its own."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import trustme

#: Bytes read at once; seconds for the start and the end of the thread.
PIECE, DEADLINE = 65536, 10.0


@dataclass
class TlsDoor:
    """Passes what comes to ``address`` on to a port on loopback, asked for at each connection; a context manager.

    ``heard`` grows by all that is said, in both directions, where it is given.
    """

    address: str
    plane_port: Callable[[], int]
    authority: trustme.CA = field(default_factory=trustme.CA)
    port: int = 0
    heard: bytearray | None = None
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The address that an agent is given."""
        return f"https://{self.address}:{self.port}"

    @property
    def ca_pem(self) -> bytes:
        """The authority's certificate."""
        return self.authority.cert_pem.bytes()

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(DEADLINE)
        return self

    def __exit__(self, *_failure: object) -> None:
        """Cut what is open and stop listening."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(DEADLINE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        assert self._thread is not None
        self._thread.join(DEADLINE)
        self._loop.close()

    async def _listen(self) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert(self.address).configure_cert(context)
        self._server = await asyncio.start_server(self._accept, self.address, self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", self.plane_port())
        except OSError:
            writer.close()  # the control plane is away
            return
        pair = {writer, outer}
        self._writers |= pair
        await asyncio.gather(_pump(reader, outer, self.heard), _pump(inner, writer, self.heard))
        self._writers -= pair


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, heard: bytearray | None) -> None:
    try:
        with contextlib.suppress(OSError):
            while piece := await source.read(PIECE):
                if heard is not None:
                    heard += piece
                target.write(piece)
                await target.drain()
    finally:
        target.close()
