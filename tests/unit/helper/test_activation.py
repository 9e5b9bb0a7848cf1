"""The socket is taken from systemd as sd_listen_fds(3) says, and nothing else is taken for it."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanny_ops.errors import SettingsError
from nanny_ops.helper.activation import listener


@pytest.fixture
def handed_over() -> Iterator[int]:
    """The number of a listening socket, on a path short enough for one."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as made:
        made.bind(str(Path(folder) / "s"))
        made.listen(1)
        yield os.dup(made.fileno())


def words(pid: int = 7, count: str = "1") -> dict[str, str]:
    return {"LISTEN_PID": str(pid), "LISTEN_FDS": count, "LISTEN_FDNAMES": "x", "PATH": "/bin"}


def test_the_socket_is_taken_and_its_words_are_gone(handed_over: int) -> None:
    environ = words()
    os.set_inheritable(handed_over, True)
    with listener(environ, 7, handed_over) as found:
        assert not found.get_inheritable()
    assert environ == {"PATH": "/bin"}


@pytest.mark.parametrize("environ", [{}, words(8), words(7, "2"), words(7, "")])
def test_what_is_meant_for_another_process_is_not_taken(handed_over: int, environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="started by its socket"):
        listener(environ, 7, handed_over)
    os.close(handed_over)


def test_only_a_listening_unix_socket_will_do(tmp_path: Path) -> None:
    number = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    with pytest.raises(SettingsError, match="no socket"):
        listener(words(), 7, number)
    os.close(number)
    one, two = socket.socketpair()
    with two, pytest.raises(SettingsError, match="no unix stream socket"):
        listener(words(), 7, one.detach())
