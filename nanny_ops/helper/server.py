"""The socket's loop: a verb for each connection, each in a thread, until nobody has asked for a while."""

import logging
import socket
import threading
import time
from collections.abc import Callable

from nanny_ops.errors import NannyError, VerbRefused
from nanny_ops.helper.peer import Peer, peer_of
from nanny_ops.machine.frame import HEAD, VERB_CAP, read_verb, write_reply
from nanny_ops.machine.update_verbs import UpdateState, UpdateVerb
from nanny_ops.machine.verbs import HelperAnswer, HelperVerb

log = logging.getLogger(__name__)
#: Verbs under way at once; one connection more is turned away.
ROOM = 16
#: Seconds in which a verb must have arrived whole, and its answer been taken.
PATIENCE = 10.0
#: Seconds without a verb after which a replaced helper ends: the daemon of the other version needs five to start.
SOON = 1.0


class Server:
    """Serves one listening socket."""

    def __init__(
        self,
        listener: socket.socket,
        do: Callable[[HelperVerb | UpdateVerb], HelperAnswer | UpdateState],
        permits: Callable[[Peer], bool],
        *,
        idle: float,
        patience: float = PATIENCE,
        room: int = ROOM,
        peer_of: Callable[[socket.socket], Peer] = peer_of,
        clock: Callable[[], float] = time.monotonic,
        replaced: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take what carries verbs out and who may ask; ``idle`` and ``patience`` are seconds.

        ``replaced`` tells that another version is to serve from now on.
        """
        self._replaced = replaced
        self._listener, self._do, self._permits, self._peer_of = listener, do, permits, peer_of
        self._idle, self._patience, self._clock = idle, patience, clock
        self._room, self._busy, self._lock = room, 0, threading.Lock()

    def serve(self) -> None:
        """Serve until nothing was under way for ``idle`` seconds, or a second where it was replaced.

        The caller closes the listener. A connection that comes while this ends waits in the listener's queue, for
        which systemd starts a new process.
        """
        quiet_since = self._clock()
        self._listener.settimeout(min(self._idle, 1.0))
        while self._busy or self._clock() - quiet_since < (min(self._idle, SOON) if self._replaced() else self._idle):
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                quiet_since = self._clock() if self._busy else quiet_since
                continue
            if self._welcome(connection):
                quiet_since = self._clock()

    def _welcome(self, connection: socket.socket) -> bool:
        """Look who it is, without reading a byte; False for those that nothing is done for."""
        peer = self._peer_of(connection)
        reason = "" if self._permits(peer) else "this user may not ask"
        with self._lock:
            reason = reason or ("too many verbs are under way" if self._busy >= self._room else "")
            self._busy += not reason
        if reason:
            log.warning("event=peer_refused pid=%d uid=%d reason=%r", peer.pid, peer.uid, reason)
            connection.close()
            return False
        threading.Thread(target=self._attend, args=(connection, peer), daemon=True).start()
        return True

    def _attend(self, connection: socket.socket, peer: Peer) -> None:
        try:
            with connection:
                frame = self._reply(connection, peer)
                connection.settimeout(self._patience)
                connection.sendall(frame)
        except OSError as wrong:  # whoever asked is gone; what was begun goes on
            log.info("event=peer_gone pid=%d uid=%d reason=%r", peer.pid, peer.uid, str(wrong))
        finally:
            with self._lock:
                self._busy -= 1

    def _reply(self, connection: socket.socket, peer: Peer) -> bytes:
        """Return the answer as it travels; one that is too large to travel is answered by that."""
        answer = self._answer(connection, peer)
        try:
            return write_reply(answer)
        except NannyError as wrong:
            log.error("event=reply_failed pid=%d reason=%r", peer.pid, wrong.message[:500])
            return write_reply(wrong)

    def _answer(self, connection: socket.socket, peer: Peer) -> HelperAnswer | UpdateState | NannyError:
        name = "none"
        try:
            verb = read_verb(self._frame(connection))
            name = type(verb).__name__
            return self._do(verb)
        except VerbRefused as wrong:
            sentence = "event=verb_refused pid=%d uid=%d verb=%s reason=%r"
            log.warning(sentence, peer.pid, peer.uid, name, wrong.message[:500])
            return wrong
        except NannyError as wrong:
            log.error("event=verb_failed pid=%d verb=%s reason=%r", peer.pid, name, wrong.message[:500])
            return wrong

    def _frame(self, connection: socket.socket) -> bytes:
        ends = self._clock() + self._patience
        size = HEAD.unpack(self._exactly(connection, HEAD.size, ends))[0]
        if size > VERB_CAP:
            raise VerbRefused(f"A verb of {size} bytes is too large.")
        return self._exactly(connection, size, ends)

    def _exactly(self, connection: socket.socket, size: int, ends: float) -> bytes:
        """Read so many bytes, all before one moment: who sends a byte now and then gains no time by it."""
        found = bytearray()
        while len(found) < size:
            left = ends - self._clock()
            connection.settimeout(max(left, 0.001))
            try:
                piece = connection.recv(min(65536, size - len(found))) if left > 0 else b""
            except TimeoutError:
                piece = b""
            if not piece:
                raise VerbRefused(f"The verb did not arrive: {len(found)} of {size} bytes were there in the end.")
            found += piece
        return bytes(found)
