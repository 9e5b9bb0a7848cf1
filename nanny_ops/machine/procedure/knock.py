"""Knock at ports and pages: from this node, or as a program of its own inside a container's network.

Its call: ``python -m nanny_ops.machine.procedure.knock``, with a JSON list of knocks on stdin; it prints a list with a
sentence for each, empty where all is as it should be.
"""

import http.client
import json
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

#: Bytes of a page that are looked through.
CAP = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Knock:
    """One thing to knock at: a page, or without a ``url`` a port; see :class:`nanny_ops.protocol.probe.Probe`."""

    seconds: int
    url: str = ""
    status: int = 0
    body: str = ""
    host: str = ""
    port: int = 0

    def __call__(self) -> str:
        """Return what is wrong, empty where nothing is."""
        if self.url:
            return page(self.url, self.status, self.seconds, self.body)
        return tcp(self.host, self.port, self.seconds)


def tcp(host: str, port: int, seconds: float) -> str:
    """Return why a port takes no connection, empty if it does."""
    try:
        with socket.create_connection((host, port), timeout=seconds):
            return ""
    except OSError as wrong:
        return f"{host} port {port}: {wrong.strerror or wrong}."


def page(url: str, status: int, seconds: float, contains: str = "") -> str:
    """Return what is wrong with a page, empty if it is as asked; a ``status`` of 0 is any below 400.

    No redirect is followed, and a certificate is not judged: it is often the target's own.
    """
    until = time.monotonic() + seconds
    parts = urlsplit(url)
    try:
        connection = _connect(parts.scheme, parts.hostname or "", parts.port, seconds)
        try:
            connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
            answer = connection.getresponse()
            body = _read(answer, until) if contains else b""
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as wrong:
        return f"{url}: {str(wrong)[:200] or type(wrong).__name__}."
    if (status and answer.status != status) or (not status and answer.status >= 400):
        return f"{url} answered {answer.status}."
    return "" if contains.encode() in body else f"{url} does not say what it should."


def _connect(scheme: str, host: str, port: int | None, seconds: float) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=seconds)
    if scheme != "https":
        raise ValueError("only http and https are known")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=seconds, context=context)


def _read(answer: http.client.HTTPResponse, until: float) -> bytes:
    body = b""
    while len(body) < CAP and time.monotonic() < until and (piece := answer.read(65536)):
        body += piece
    return body


def write(knocks: Sequence[Knock]) -> bytes:
    """Return what the program reads."""
    return json.dumps([asdict(one) for one in knocks]).encode()


def read(said: bytes, count: int) -> list[str] | None:
    """Return the sentences that it has printed, None where it has not said one for each knock."""
    try:
        found = json.loads(said)
    except ValueError:
        return None
    return [str(one) for one in found] if isinstance(found, list) and len(found) == count else None


def main() -> int:
    """Knock as it is told on stdin, print a sentence for each, and return the exit code."""
    json.dump([Knock(**one)() for one in json.load(sys.stdin)], sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
