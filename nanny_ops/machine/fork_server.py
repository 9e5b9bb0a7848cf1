"""The process that has read all code of supervisors and forks one for each job; see :mod:`nanny_ops.machine.forked`.

Its call: ``python -m nanny_ops.machine.fork_server FOLDER``, with ``--in-unit`` as supervisors have it. It ends when
nobody has asked for a while and none of its children is left.
"""

import contextlib
import fcntl
import gc
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nanny_ops.machine import carrier, forked, readiness
from nanny_ops.machine.proxmox import client
from nanny_ops.machine.run import daemonize
from nanny_ops.machine.supervisor import see_to

log = logging.getLogger("nanny_ops.machine.fork_server")  # whose __name__ is __main__
#: Read now, so that no child has to: what jobs that protect guests speak to the API with.
PRELOADED = (client,)
#: Seconds without a job after which the server ends, and between two looks whether it should.
IDLE, TICK = 10.0, 1.0
#: Seconds for a request to arrive, its bytes at most (it holds the environment of who asks), and requests that wait.
PATIENCE, CAP, BACKLOG = 5.0, 256 * 1024, 64


def serve(folder: Path, ready: Callable[[], None], idle: float = IDLE) -> None:
    """Fork a supervisor for whoever asks, until ``idle`` seconds have gone by without one. Raises OSError.

    ``ready`` is told when it listens. Returns at once where another server of the same code does.
    """
    with forked.inside(folder) as place, contextlib.ExitStack() as stack:
        path = Path(place) / forked.name()
        lock = stack.enter_context(path.with_suffix(".lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        path.unlink(missing_ok=True)
        door = stack.enter_context(socket.socket(socket.AF_UNIX))
        door.bind(str(path))
        door.listen(BACKLOG)
        door.settimeout(TICK)
        gc.freeze()  # what is shared with the children stays shared
        ready()
        _serve(door, path, idle, lock.fileno())
        path.unlink(missing_ok=True)


def _serve(door: socket.socket, path: Path, idle: float, lock: int) -> None:
    last = time.monotonic()
    while path.exists() and (_children_left() or time.monotonic() - last < idle):
        try:
            wire, _ = door.accept()
        except TimeoutError:
            continue
        with wire:
            if not os.fork():
                _be_supervisor(wire, (door.fileno(), lock))
        last = time.monotonic()


def _be_supervisor(wire: socket.socket, servers: tuple[int, int]) -> None:
    """Go on as a process of its own, which never comes back; what makes the server the server ends with it alone."""
    code = 1
    try:
        for descriptor in servers:
            os.close(descriptor)
        os.setsid()
        os.chdir("/")
        code = _attend(wire)
    finally:
        if (wrong := sys.exception()) is not None:  # nothing else tells of it: what prints it lies behind this exit
            log.critical("event=supervisor_failed", exc_info=wrong)
        os._exit(code)


def _attend(wire: socket.socket) -> int:
    wire.settimeout(PATIENCE)
    content = bytearray()
    while len(content) < CAP and (piece := wire.recv(65536)):
        content += piece
    request = json.loads(content)
    os.environ.clear()
    os.environ.update(request["environ"])

    def settled(code: int) -> None:
        with contextlib.suppress(OSError):  # who asked is gone; the job goes on
            wire.sendall(str(code).encode())
        wire.close()

    directory = Path(request["directory"])
    signal.alarm(carrier.longest(directory))  # as the time limit of a unit of its own, which ends the process
    return see_to(directory, request["seal"], os.environ, settled)


def _children_left() -> bool:
    """Collect the children that have ended and tell whether any lives."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def main(argv: list[str]) -> int:
    """Leave the caller, and serve."""
    logging.basicConfig(stream=sys.stderr, level="INFO", format="%(levelname)s %(name)s %(message)s")

    def ready() -> None:
        if "--in-unit" not in argv[2:]:
            daemonize()
            return
        readiness.tell(readiness.READY, os.environ)
        os.environ.pop("NOTIFY_SOCKET", None)

    serve(Path(argv[1]), ready)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
