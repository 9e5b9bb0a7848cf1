"""The socket's loop: who may not ask is not listened to, nobody holds it up, and it ends when nobody asks."""

import contextlib
import itertools
import logging
import socket
import threading
import time
from typing import Any

import pytest

from nanny_ops.errors import DiskFull, HelperAway, MachineError, VerbRefused
from nanny_ops.helper.peer import Peer
from nanny_ops.helper.server import Server
from nanny_ops.machine.frame import HEAD, VERB_CAP, read_reply, write_verb
from nanny_ops.machine.verbs import JobPhase, JobState, LookJob

ASK = write_verb(LookJob(job_id="a"))
STATE = JobState(job_id="a", phase=JobPhase.ABSENT)


class Queue:
    """A listener whose connections are there already; afterwards nobody comes, until ``more`` are put in."""

    def __init__(self, *connections: socket.socket) -> None:
        self.more = list(connections)

    def settimeout(self, _seconds: float) -> None:
        """No one waits here."""

    def accept(self) -> tuple[socket.socket, str]:
        if not self.more:
            time.sleep(0.001)
            raise TimeoutError
        return self.more.pop(0), ""


def make(*connections: socket.socket, do: Any = lambda _verb: STATE, uid: int = 1000, **more: Any) -> Server:
    given = {"idle": 0.01, "patience": 20.0, "peer_of": lambda _connection: Peer(7, uid, uid), **more}
    return Server(Queue(*connections), do, lambda peer: peer.uid == 1000, **given)  # type: ignore[arg-type]


def heard(connection: socket.socket) -> bytes:
    """Return what came back, up to an end that may say that our own bytes were not all read."""
    found = b""
    with connection:
        connection.settimeout(20)
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                found += piece
    return found


def ask(content: bytes, **more: Any) -> JobState:
    near, far = socket.socketpair()
    near.sendall(content)
    near.shutdown(socket.SHUT_WR)
    make(far, **more).serve()
    return read_reply(heard(near)[HEAD.size :])


def test_a_verb_is_answered() -> None:
    asked: list[Any] = []
    assert ask(ASK, do=lambda verb: asked.append(verb) or STATE) == STATE
    assert asked == [LookJob(job_id="a")]


def test_another_user_is_not_listened_to(caplog: pytest.LogCaptureFixture) -> None:
    near, far = socket.socketpair()
    near.sendall(ASK)
    make(far, uid=1001, do=lambda _verb: pytest.fail("was asked")).serve()
    assert heard(near) == b""
    assert "event=peer_refused pid=7 uid=1001" in caplog.text


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "did not arrive"),
        (b"\0\0", "did not arrive"),
        (ASK[:-1], "did not arrive"),
        (HEAD.pack(VERB_CAP + 1), "too large"),
        (HEAD.pack(2**32 - 1) + b"x", "too large"),
        (b"GET / HTTP/1.1\r\n\r\n", "too large"),
        (HEAD.pack(3) + b"abc", "malformed"),
    ],
)
def test_what_is_no_verb_is_refused_and_logged(content: bytes, word: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(VerbRefused, match=word):
        ask(content, do=lambda _verb: pytest.fail("was asked"))
    assert "event=verb_refused pid=7 uid=1000" in caplog.text


def test_a_line_in_a_refusal_forges_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_verb: Any) -> JobState:
        raise VerbRefused("a\nevent=job_begun")

    with pytest.raises(VerbRefused):
        ask(ASK, do=refuse)
    assert all("\n" not in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("kind", [DiskFull, MachineError])
def test_an_error_is_told(kind: type[MachineError]) -> None:
    def fail(_verb: Any) -> JobState:
        raise kind("So it is.")

    with pytest.raises(kind, match="So it is"):
        ask(ASK, do=fail)


def test_a_byte_now_and_then_gains_no_time() -> None:
    near, far = socket.socketpair()
    ticks = iter(range(0, 1000, 3))
    with near:
        near.sendall(ASK)
        server = make(patience=5.0, clock=lambda: float(next(ticks)))
        with far, pytest.raises(VerbRefused, match="did not arrive"):
            server._frame(_Drop(far))  # type: ignore[arg-type]


class _Drop:
    """A connection that gives one byte at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def settimeout(self, seconds: float) -> None:
        self._connection.settimeout(seconds)

    def recv(self, _size: int) -> bytes:
        return self._connection.recv(1)


def test_there_is_room_for_so_many_and_the_next_is_turned_away(caplog: pytest.LogCaptureFixture) -> None:
    pairs = [socket.socketpair() for _ in range(3)]
    release = threading.Event()

    def hang(_verb: Any) -> JobState:
        release.wait(20)
        return STATE

    for near, _ in pairs:
        near.sendall(ASK)
    server = make(*(far for _, far in pairs), do=hang, room=2)
    thread = threading.Thread(target=server.serve)
    thread.start()
    assert heard(pairs[2][0]) == b""
    assert thread.is_alive(), "it waits for what is under way"
    release.set()
    for near, _ in pairs[:2]:
        assert read_reply(heard(near)[HEAD.size :]) == STATE
    thread.join(20)
    assert not thread.is_alive()
    assert "too many verbs" in caplog.text


def test_who_goes_away_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    near, far = socket.socketpair()
    near.sendall(ASK)
    done: list[str] = []

    def do(_verb: Any) -> JobState:
        near.close()
        done.append("done")
        return STATE

    with caplog.at_level(logging.INFO):
        make(far, do=do).serve()
    assert done == ["done"]
    assert "event=peer_gone" in caplog.text


def test_errors_of_the_way_are_not_of_the_helper() -> None:
    assert not issubclass(HelperAway, VerbRefused)


def test_one_that_was_replaced_answers_what_is_there_and_ends_soon() -> None:
    near, far = socket.socketpair()
    near.sendall(ASK)
    ticks = itertools.count()
    make(far, idle=3600.0, patience=20_000.0, clock=lambda: next(ticks) / 10, replaced=lambda: True).serve()
    assert read_reply(heard(near)[HEAD.size :]) == STATE
    assert next(ticks) < 36_000
