"""Knock at a port or a page: from this node, or as a program of its own inside a container's network.

Its call: ``python -m nanny_ops.machine.procedure.knock tcp HOST PORT SECONDS`` or ``... http URL STATUS SECONDS``, with
the text to look for as the last word; ends with 0 where it is as it should be, and prints a sentence where it is not.
"""

import http.client
import socket
import ssl
import sys
import time
from urllib.parse import urlsplit

#: Bytes of a page that are looked through.
CAP = 1024 * 1024


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


def main(argv: list[str]) -> int:
    """Knock as the words say and return the exit code."""
    kind, place, number, seconds, *contains = argv[1:]
    if kind == "tcp":
        wrong = tcp(place, int(number), float(seconds))
    else:
        wrong = page(place, int(number), float(seconds), "".join(contains))
    sys.stdout.write(wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
