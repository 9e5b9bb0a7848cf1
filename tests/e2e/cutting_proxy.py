"""A TCP proxy between an agent and its control plane that can refuse, cut at a byte, tamper, and tell of an upload."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

STREAM = re.compile(rb"GET /api/realtime[ ?]")
UPLOAD = re.compile(rb"POST /api/patches/[^/ ]+/results ")
#: Bytes that are read at once: small, so that a cut falls inside a body.
PIECE = 4096


@dataclass(eq=False)
class _Pair:
    """One connection: the agent's side, the control plane's side, and what it was seen to be."""

    agent: socket.socket
    plane: socket.socket
    is_stream: bool = False
    uploaded: int | None = None

    def cut(self) -> None:
        """End both sides; the pumps that read from them see the end and close them."""
        for side in (self.agent, self.plane):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


@dataclass
class CuttingProxy:
    """Listens on a loopback port of its own; ``plane_port`` is asked at each connection."""

    plane_port: Callable[[], int]
    port: int = 0
    #: How often something was done to a connection, by name.
    counts: dict[str, int] = field(default_factory=lambda: {"cut": 0, "tampered": 0, "struck": 0})
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pairs: set[_Pair] = field(default_factory=set)
    _threads: list[threading.Thread] = field(default_factory=list)
    _listener: socket.socket | None = None
    _open: bool = True
    _cuts: list[int] = field(default_factory=list)
    _strike: tuple[int, Callable[[], None]] | None = None
    _swap: tuple[bytes, bytes] | None = None

    @property
    def url(self) -> str:
        """The address that an agent is given."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to listen."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._spawn(self._accept, self._listener)

    def close(self) -> None:
        """End the listener, every connection and every thread."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        self.refuse()
        for thread in self._threads:
            thread.join(10)

    def refuse(self) -> None:
        """Cut what is there, and each new connection at once, until :meth:`admit`."""
        self._open = False
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.cut()

    def admit(self) -> None:
        """Let connections through again."""
        self._open = True

    def cut_streams_after(self, *sizes: int) -> None:
        """Cut the event stream after so many further bytes, then the next one after the next number, and so on."""
        with self._lock:
            self._cuts = list(sizes)

    def strike_in_upload(self, after: int, strike: Callable[[], None]) -> None:
        """Call ``strike`` once, when ``after`` bytes of the next result have passed, before any more passes."""
        with self._lock:
            for pair in self._pairs:  # a connection that has carried a result is used again for other requests
                pair.uploaded = None
            self._strike = (after, strike)

    def tamper(self, genuine: bytes, forged: bytes) -> None:
        """Replace a text in what the control plane says; both have one length, so that no header lies."""
        assert len(genuine) == len(forged)
        self._swap = (genuine, forged)

    def be_honest(self) -> None:
        """Tamper no more."""
        self._swap = None

    def _spawn(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True, name="cutting-proxy")
        self._threads = [*(one for one in self._threads if one.is_alive()), thread]
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                agent, _ = listener.accept()
            except OSError:
                return
            try:
                if not self._open:
                    raise ConnectionRefusedError
                plane = socket.create_connection(("127.0.0.1", self.plane_port()), 10)
                plane.settimeout(None)
            except OSError:
                agent.close()
                continue
            pair = _Pair(agent, plane)
            with self._lock:
                self._pairs.add(pair)
            self._spawn(self._carry, pair)

    def _carry(self, pair: _Pair) -> None:
        down = threading.Thread(target=self._pump, args=(pair, pair.plane, pair.agent, self._from_plane), daemon=True)
        down.start()
        self._pump(pair, pair.agent, pair.plane, self._from_agent)
        down.join()
        with self._lock:
            self._pairs.discard(pair)
        pair.agent.close()
        pair.plane.close()

    def _pump(
        self, pair: _Pair, source: socket.socket, sink: socket.socket, treat: Callable[[_Pair, bytes], bytes | None]
    ) -> None:
        try:
            while piece := source.recv(PIECE):
                treated = treat(pair, piece)
                if treated is None:
                    break
                sink.sendall(treated)
        except OSError:
            pass  # a side was cut; the other is cut below
        pair.cut()

    def _from_agent(self, pair: _Pair, piece: bytes) -> bytes | None:
        pair.is_stream = pair.is_stream or STREAM.search(piece) is not None
        if UPLOAD.search(piece):
            pair.uploaded = 0
        if pair.uploaded is None:
            return piece
        pair.uploaded += len(piece)
        with self._lock:
            due = self._strike if self._strike and pair.uploaded > self._strike[0] else None
            if due:
                self._strike = None
        if due is None:
            return piece
        due[1]()
        self.counts["struck"] += 1
        return None

    def _from_plane(self, pair: _Pair, piece: bytes) -> bytes | None:
        if self._swap is not None and self._swap[0] in piece:
            self.counts["tampered"] += 1
            piece = piece.replace(*self._swap)
        return self._shortened(pair, piece) if pair.is_stream else piece

    def _shortened(self, pair: _Pair, piece: bytes) -> bytes | None:
        with self._lock:
            if not self._cuts:
                return piece
            if len(piece) < self._cuts[0]:
                self._cuts[0] -= len(piece)
                return piece
            keep = self._cuts.pop(0)
            self.counts["cut"] += 1
        with contextlib.suppress(OSError):
            pair.agent.sendall(piece[:keep])
        return None
