"""A server that has all its answers ready and gives each of them late: what is measured against it is the client."""

import asyncio
import json
import ssl
import sys
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import trustme

_PREFIX = "/api2/json/"
#: What changes from cycle to cycle in a question, and not in the answer.
_LOOSE = {"since"}


def key(path: str, parameters: dict[str, str]) -> str:
    """Return under which name an answer is kept."""
    rest = sorted(f"{name}={value}" for name, value in parameters.items() if name not in _LOOSE)
    return path + ("?" + "&".join(rest) if rest else "")


class Late(asyncio.Protocol):
    """One connection."""

    def __init__(self, answers: dict[str, bytes], seconds: float) -> None:
        """Take the answers and how late they come."""
        self._answers, self._seconds, self._buffer = answers, seconds, b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            parts = urlsplit(head.split(b" ", 2)[1].decode())
            name = key(parts.path.removeprefix(_PREFIX), dict(parse_qsl(parts.query)))
            answer = self._answers.get(name, MISSING)
            asyncio.get_running_loop().call_later(self._seconds, self._write, answer)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


def response(status: bytes, body: bytes) -> bytes:
    """Return a whole answer as it goes over the wire."""
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


MISSING = response(b"501 Method not implemented", b'{"data":null}')


async def serve(recorded: dict[str, object], ca_file: str, seconds: float) -> None:
    """Serve recorded answers until killed; print the port."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    answers = {name: response(b"200 OK", json.dumps({"data": data}).encode()) for name, data in recorded.items()}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Late(answers, seconds), "127.0.0.1", 0, ssl=context, backlog=128)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2], float(sys.argv[3])))
