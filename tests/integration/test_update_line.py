"""An update whose archive comes over real sockets that break, stall, crawl and lie: it resumes, or says why not."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from nanny_ops.agent.download import TRIES
from tests.fakes.updating import CONTENT, UpdatingAgent

#: Bytes after which a line breaks: more than a try must bring.
BREAK = 70_000
RESET = struct.pack("ii", 1, 0)
Treat = Callable[[socket.socket, int], None]


class Line(ThreadingHTTPServer):
    """Serves one archive from a byte on; ``treat`` is handed the connection and that byte, and sends the body."""

    daemon_threads = True

    def __init__(self, treat: Treat, size: int = len(CONTENT)) -> None:
        self.treat, self.size, self.begun = treat, size, list[int]()
        super().__init__(("127.0.0.1", 0), Door)


class Door(BaseHTTPRequestHandler):
    """One answer."""

    server: Line

    def do_GET(self) -> None:
        begin = int(self.headers.get("range", "bytes=0-")[6:-1])
        self.server.begun.append(begin)
        left = self.server.size - begin
        self.send_response(206 if left > 0 and begin else 200 if left > 0 else 416)
        self.send_header("Content-Length", str(max(left, 0)))
        self.end_headers()
        with contextlib.suppress(OSError):  # the agent may have hung up
            if left > 0:
                self.server.treat(self.connection, begin)

    def log_message(self, format: str, *_args: object) -> None:  # noqa: A002
        del format


class Way(httpx.AsyncBaseTransport):
    """Sends requests for the archive over the line, with a short patience, and all others to the fake control plane."""

    def __init__(self, line: Line, others: httpx.AsyncBaseTransport, silence: float) -> None:
        self.line, self.others, self.silence = line, others, silence

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/archive"):
            return await self.others.handle_async_request(request)
        url = httpx.URL(f"http://127.0.0.1:{self.line.server_address[1]}{request.url.path}")
        patience = {**request.extensions["timeout"], "read": self.silence}
        real = httpx.Request("GET", url, headers=request.headers, extensions={"timeout": patience})
        # A connection is used once here: the server closes it after each answer.
        return await httpx.AsyncHTTPTransport().handle_async_request(real)


@contextlib.contextmanager
def updating(folder: Path, line: Line, silence: float = 20.0) -> Iterator[UpdatingAgent]:
    """Hand over what an agent on a line told in the end."""
    serving = threading.Thread(target=line.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        agent = UpdatingAgent(folder)
        agent.plane.way = Way(line, agent.plane.transport, silence)
        agent.until_done()
        yield agent
    finally:
        line.shutdown()
        serving.join()
        line.server_close()


def untouched(agent: UpdatingAgent) -> bool:
    """Tell whether nothing was unpacked and the old version is in use."""
    names = [path.name for path in (agent.versions.prefix / "versions").iterdir()]
    return names == ["1.0"] and agent.current == "1.0" and not (agent.versions.prefix / ".staging").exists()


@pytest.mark.rows("F7")
@pytest.mark.parametrize("reset", [False, True])
def test_a_line_that_is_cut_in_the_middle_is_gone_on_with(tmp_path: Path, *, reset: bool) -> None:
    def cut(to: socket.socket, begin: int) -> None:
        to.sendall(CONTENT[begin : begin + BREAK])
        if reset and begin:  # what was not read yet is lost with it
            to.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    line = Line(cut)
    with updating(tmp_path, line) as agent:
        assert ([one["outcome"] for one in agent.told], agent.current) == (["ok"], "2.0")
    assert line.begun[:2] == [0, BREAK]
    assert line.begun == sorted(line.begun)


@pytest.mark.rows("F7")
def test_a_line_that_stalls_ends_it_and_the_reason_says_where(tmp_path: Path) -> None:
    def stall(to: socket.socket, begin: int) -> None:
        to.sendall(CONTENT[begin : begin + 1000])
        to.recv(1)  # until the agent hangs up

    line = Line(stall)
    with updating(tmp_path, line, silence=0.2) as agent:
        told = agent.told[0]
        assert told["outcome"] == "timed_out"
        assert f"of {len(CONTENT)} bytes" in told["reason"]
        assert "ReadTimeout" in told["reason"] or "timed out" in told["reason"].lower(), told["reason"]
        assert untouched(agent)
    assert len(line.begun) == TRIES


@pytest.mark.rows("F7")
def test_a_line_that_crawls_brings_it_in_one_try_however_long_that_takes(tmp_path: Path) -> None:
    silence = 1.0

    def crawl(to: socket.socket, begin: int) -> None:
        for at in range(begin, len(CONTENT), 20_000):
            time.sleep(0.15)
            to.sendall(CONTENT[at : at + 20_000])

    line, since = Line(crawl), time.monotonic()
    with updating(tmp_path, line, silence) as agent:
        assert ([one["outcome"] for one in agent.told], agent.current) == (["ok"], "2.0")
    assert time.monotonic() - since > silence


@pytest.mark.rows("F7")
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (CONTENT[: len(CONTENT) // 2], "ends after"),
        (CONTENT[:100_000] + bytes([CONTENT[100_000] ^ 1]) + CONTENT[100_001:], "SHA-256"),
        (CONTENT + b"more", "More came"),
    ],
    ids=["truncated", "corrupted", "longer"],
)
def test_what_is_not_the_archive_that_was_ordered_is_not_unpacked(tmp_path: Path, content: bytes, why: str) -> None:
    line = Line(lambda to, begin: to.sendall(content[begin:]), len(content))
    with updating(tmp_path, line) as agent:
        told = agent.told[0]
        assert told["outcome"] == "checksum_mismatch"
        assert why in told["reason"]
        assert untouched(agent)
        assert not agent.run.seen
        assert [path.stat().st_size for path in tmp_path.glob("release-*")] in ([], [0])
