"""Connections that break: a read is asked once more, a change never, and half an answer is no answer."""

import gzip
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from nanny_ops.errors import ProxmoxUnreachable
from nanny_ops.machine.proxmox.client import Client
from nanny_ops.machine.verbs import ProxmoxAccess

TOKEN = "agent@pve!mon=11111111-2222-3333-4444-555555555555"
WHOLE = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"data": 1}'
AUTHORITY = trustme.CA()


@dataclass
class Node:
    """Answers each connection with the next of ``answers`` and closes it."""

    answers: list[bytes] = field(default_factory=list)
    asked: list[bytes] = field(default_factory=list)

    def serve(self, listener: ssl.SSLSocket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except ssl.SSLError:
                continue
            except OSError:
                return
            with connection:
                self.asked.append(request_from(connection))
                if self.answers:
                    connection.sendall(self.answers.pop(0))


def request_from(connection: socket.socket) -> bytes:
    head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
    for line in head.lower().splitlines():
        if line.startswith(b"content-length:"):
            while len(body) < int(line.partition(b":")[2]):
                body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def context_of(**certificate: object) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1", **certificate).configure_cert(context)  # type: ignore[arg-type]
    return context


def serve(context: ssl.SSLContext) -> Iterator[tuple[Node, int]]:
    node, plain = Node(), socket.create_server(("127.0.0.1", 0))
    listener = context.wrap_socket(plain, server_side=True)
    thread = threading.Thread(target=node.serve, args=(listener,), daemon=True)
    thread.start()
    yield node, listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@pytest.fixture
def node() -> Iterator[tuple[Node, int]]:
    yield from serve(context_of())


@pytest.fixture
def client(node: tuple[Node, int], tmp_path: object) -> Iterator[Client]:
    yield from connected(node[1], tmp_path)


def connected(port: int, tmp_path: object) -> Iterator[Client]:
    ca_file = f"{tmp_path}/ca.pem"
    AUTHORITY.cert_pem.write_to_path(ca_file)
    access = ProxmoxAccess(url=f"https://127.0.0.1:{port}", token=TOKEN, ca_file=ca_file, timeout_seconds=5)
    with Client(access) as client:
        yield client


def test_a_read_whose_connection_was_dropped_is_asked_once_more(node: tuple[Node, int], client: Client) -> None:
    node[0].answers = [b"", WHOLE]
    assert client.get("version") == 1
    assert len(node[0].asked) == 2
    assert node[0].asked[0].startswith(b"GET /api2/json/version HTTP/1.1\r\n")


def test_a_change_is_never_sent_twice(node: tuple[Node, int], client: Client) -> None:
    node[0].answers = [b"", WHOLE]
    with pytest.raises(ProxmoxUnreachable, match="cut the connection"):
        client.post("nodes/n/lxc/101/status/start", command=["a b", "c"], force=True)
    assert len(node[0].asked) == 1
    assert node[0].asked[0].endswith(b"command=a+b&command=c&force=1")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"data"', "cut the connection"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"data"', "half an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "not the Proxmox VE API"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "half an answer"),
        (b"nonsense\r\n\r\n", "cut the connection"),
        (b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example\r\nContent-Length: 0\r\n\r\n", "elsewhere"),
    ],
)
def test_broken_answers_are_named(node: tuple[Node, int], client: Client, answer: bytes, words: str) -> None:
    node[0].answers = [answer, answer]
    with pytest.raises(ProxmoxUnreachable, match=words):
        client.get("version")


@pytest.mark.rows("PVE-09")
def test_an_answer_that_is_packed_without_being_asked_for_is_unpacked(node: tuple[Node, int], client: Client) -> None:
    body = gzip.compress(b'{"data": ["a line"]}')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    node[0].answers = [head + body]
    assert client.get("nodes/n/journal") == ["a line"]


def test_a_certificate_of_another_time_names_the_clock(tmp_path: object) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=1)
    server = serve(context_of(not_after=long_ago))
    _, port = next(server)
    client = next(connected(port, tmp_path))
    with pytest.raises(ProxmoxUnreachable, match="has expired; compare the clocks"):
        client.get("version")
    for _ in server:
        pass


def test_a_certificate_for_another_name_says_so(tmp_path: object) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("pve1.example.org").configure_cert(context)
    server = serve(context)
    _, port = next(server)
    client = next(connected(port, tmp_path))
    with pytest.raises(ProxmoxUnreachable, match="another name or address"):
        client.get("version")
    for _ in server:
        pass
