"""The HTTPS server: reason phrases, kept connections, and what it does with nonsense."""

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanny_ops.lab.pve.certificate import Authority
from nanny_ops.lab.pve.server import BODY_CAP, Reply, Request, Server


def answer(request: Request) -> Reply:
    """Echo, refuse, or refuse late."""
    if request.target == "/echo":
        return Reply(200, "OK", request.body or b"{}")
    if request.target.startswith("/cut/"):
        return Reply(200, "OK", b"0123456789", withheld=int(request.target.rpartition("/")[2]), headers=(("X-A", "b"),))
    return Reply(595, "No route to host", b"", delay=0.3 if request.target == "/late" else 0.0)


@pytest.fixture(scope="module")
def connect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[http.client.HTTPSConnection]:
    """A connection that opens itself anew when the server has closed it."""
    authority = Authority(tmp_path_factory.mktemp("ca"))
    authority.write()
    context, _ = authority.issue("pve1")
    server = Server()
    server.start()
    port = server.listen(answer, context)
    trust = ssl.create_default_context(cafile=str(authority.file))
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=trust)
    yield connection
    connection.close()
    server.close()


def ask(connection: http.client.HTTPSConnection, method: str, path: str, body: bytes = b"") -> http.client.HTTPResponse:
    connection.request(method, path, body)
    return connection.getresponse()


def test_the_error_stands_in_the_reason_phrase(connect: http.client.HTTPSConnection) -> None:
    response = ask(connect, "GET", "/x")
    assert (response.status, response.reason, response.read()) == (595, "No route to host", b"")
    assert response.headers["Connection"] == "close"
    connect.close()


def test_a_good_connection_is_kept(connect: http.client.HTTPSConnection) -> None:
    for body in (b"one", b"two"):
        response = ask(connect, "POST", "/echo", body)
        assert response.read() == body
        assert response.headers["Server"] == "pve-api-daemon/3.0"
    assert connect.sock is not None


def test_a_late_answer_is_late(connect: http.client.HTTPSConnection) -> None:
    connect.close()
    began = time.monotonic()
    assert ask(connect, "GET", "/late").read() == b""
    assert time.monotonic() - began >= 0.3
    connect.close()


@pytest.mark.parametrize(("withheld", "wrong"), [(5, http.client.IncompleteRead), (9999, ConnectionError)])
def test_a_withheld_end_never_comes(
    connect: http.client.HTTPSConnection, withheld: int, wrong: type[Exception]
) -> None:
    connect.close()
    assert ask(connect, "GET", "/cut/0").headers["X-A"] == "b"
    connect.close()
    with pytest.raises((wrong, ConnectionError)):
        ask(connect, "GET", f"/cut/{withheld}").read()
    connect.close()


def test_too_large_a_body_ends_the_connection(connect: http.client.HTTPSConnection) -> None:
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(connect, "POST", "/echo", b"x" * (BODY_CAP + 1)).read()
    connect.close()
    assert ask(connect, "GET", "/echo").read() == b"{}"


def test_nonsense_does_not_end_the_server(connect: http.client.HTTPSConnection) -> None:
    with socket.create_connection(("127.0.0.1", connect.port), timeout=5) as raw:
        raw.sendall(b"not tls at all\r\n\r\n")
        raw.recv(100)
    assert ask(connect, "GET", "/echo").read() == b"{}"


def test_closing_ends_open_connections(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.write()
    server = Server()
    server.start()
    port = server.listen(answer, authority.issue("pve1")[0])
    trust = ssl.create_default_context(cafile=str(authority.file))
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=trust)
    assert ask(connection, "GET", "/echo").read() == b"{}"
    server.close()
    server.close()
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(connection, "GET", "/echo")
    connection.close()
