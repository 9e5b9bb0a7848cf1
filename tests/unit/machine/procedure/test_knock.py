"""Knocking at a real port of this host."""

import io
import socket
import threading
from collections.abc import Iterator

import pytest

from nanny_ops.machine.procedure import knock
from nanny_ops.machine.procedure.knock import Knock

PAGE = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def answer() -> None:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(0.2)
                try:
                    if connection.recv(1000):
                        connection.sendall(PAGE)
                except OSError:
                    return

        thread = threading.Thread(target=answer)
        thread.start()
        yield int(server.getsockname()[1])
        server.close()
        thread.join()


def test_a_port_takes_connections(port: int) -> None:
    assert knock.tcp("127.0.0.1", port, 5) == ""


@pytest.mark.parametrize(
    ("status", "contains", "well"), [(200, "ell", True), (0, "", True), (404, "", False), (200, "bye", False)]
)
def test_a_page_is_as_asked(port: int, status: int, contains: str, well: bool) -> None:
    assert (knock.page(f"http://127.0.0.1:{port}/x", status, 5, contains) == "") is well


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "ftp://127.0.0.1/", "http://"])
def test_what_cannot_be_reached_is_told(url: str) -> None:
    assert knock.page(url, 200, 2)
    assert "port 1:" in knock.tcp("127.0.0.1", 1, 2)


def test_as_a_program_it_says_a_sentence_for_each_knock(port: int, monkeypatch, capsys) -> None:
    knocks = [Knock(host="127.0.0.1", port=port, seconds=5), Knock(url="http://127.0.0.1:1/", status=200, seconds=2)]
    monkeypatch.setattr("sys.stdin", io.StringIO(knock.write(knocks).decode()))
    assert knock.main() == 0
    said = knock.read(capsys.readouterr().out.encode(), 2)
    assert said is not None
    assert said[0] == ""
    assert said[1].startswith("http://127.0.0.1:1/")
    assert knock.read(b'["one"]', 2) is None
    assert knock.read(b"Traceback", 1) is None
