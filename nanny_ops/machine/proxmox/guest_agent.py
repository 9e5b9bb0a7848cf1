"""Programs and files in a virtual machine, through its QEMU guest agent.

The agent tells a program's result once and forgets it, so each result is taken here and kept. It knows nothing of
deadlines: a program that is given up goes on. Restarting the agent, as an upgrade of its own package does, loses what
its programs came to; whoever must survive that lets the program write its result to a file.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nanny_ops.errors import (
    GuestAgentError,
    GuestAgentSilent,
    GuestFileDamaged,
    GuestProgramMissing,
    GuestProgramUnfinished,
    ProxmoxError,
    ProxmoxUnreachable,
    ValidationFailed,
)
from nanny_ops.machine.proxmox.power import Guest
from nanny_ops.machine.proxmox.task import PACE, Api, Pace

#: Characters of a file's content, and of a program's input, that one call takes.
LONGEST_CONTENT, LONGEST_INPUT = 61_440, 65_536
#: Bytes of a file that are written with one call: the content travels as base64.
WRITTEN = LONGEST_CONTENT // 4 * 3
#: Bytes of a file that are read with one call, a multiple of three below the agent's own mebibyte, where a piece can be
#: named (from 9.x on); 8.x gives the first 16 MiB at once.
READ, LONGEST_FILE = 786_432, 16 * 1024 * 1024
#: Seconds between the first two looks at a program, and the most between any two.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
#: Seconds between two pings, and for a short errand in the guest.
PING, ERRAND = 2.0, 60.0
#: With this status Proxmox VE tells that the worker died on which the call was.
_WORKER_DIED = 596
_APPEND = 'cat "$1" >> "$2" && rm -f "$1"'


@dataclass(frozen=True)
class Ended:
    """How a program ended: with an exit code, or by a signal; the agent keeps 16 MiB of each stream."""

    exit_code: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes
    stdout_truncated: bool = False
    stderr_truncated: bool = False


def await_ready(api: Api, guest: Guest, seconds: float, *, pace: Pace = PACE) -> None:
    """Wait until the guest agent answers, for at most ``seconds``.

    Raises at once what waiting does not cure: GuestAgentOff, GuestStopped, ProxmoxForbidden with the privilege that is
    missing (VM.Monitor on 8.x, VM.GuestAgent.Audit on 9.x); after ``seconds`` GuestAgentSilent or ProxmoxUnreachable.
    """
    until = pace.tick() + seconds
    while True:
        try:
            api.post(f"{guest.path}/agent/ping")
        except (GuestAgentSilent, ProxmoxUnreachable):
            if pace.tick() >= until:
                raise
            pace.sleep(PING)
        else:
            return


def run(api: Api, guest: Guest, argv: Sequence[str], *, seconds: float, stdin: str = "", pace: Pace = PACE) -> Ended:
    """Run a program to its end, for at most ``seconds``, and return how it ended.

    ``argv`` is a list, as a text would be taken for one program's name; ``stdin`` is ASCII. Raises ValidationFailed,
    GuestProgramMissing, GuestProgramLost (its result cannot be told any more), GuestProgramUnfinished with the ``pid``
    (it goes on), the other GuestAgentErrors, GuestStopped, and what the client raises.
    """
    if isinstance(argv, str) or not argv:
        raise ValidationFailed("A program is given as a list of words.", field="argv")
    if not stdin.isascii() or len(stdin) > LONGEST_INPUT:
        raise ValidationFailed(f"A program's input is ASCII, at most {LONGEST_INPUT} characters.", field="stdin")
    pid = _begin(api, guest, argv, stdin)
    until, pause = pace.tick() + seconds, FIRST_PAUSE
    while True:
        status = _look(api, guest, pid)
        if status.get("exited"):
            return _ended(status)
        if pace.tick() >= until:
            raise GuestProgramUnfinished(f"{argv[0]} in {guest} has not ended after {seconds:.0f} s.", pid=pid)
        pace.sleep(min(pause * (0.75 + pace.dice() / 2), max(0.05, until - pace.tick())))
        pause = min(pause * 1.5, LONGEST_PAUSE)


def write_file(api: Api, guest: Guest, path: str, data: bytes, *, pace: Pace = PACE) -> None:
    """Write a file, in pieces where it is large, and verify it there by its checksum.

    The agent can only write a file anew, so every further piece is written beside it and appended by a program. Takes
    ``cat``, ``rm`` and ``sha256sum`` in the guest. Raises GuestFileDamaged and as :func:`run`.
    """
    _absolute(path)
    pieces = [data[start : start + WRITTEN] for start in range(0, len(data), WRITTEN)] or [b""]
    _write(api, guest, path, pieces[0])
    for piece in pieces[1:]:
        _write(api, guest, f"{path}.part", piece)
        done = run(api, guest, ["sh", "-c", _APPEND, "sh", f"{path}.part", path], seconds=ERRAND, pace=pace)
        if done.exit_code != 0:
            said = done.stderr.decode("utf-8", "replace").strip()[:300]
            raise GuestFileDamaged(f"{path} in {guest} could not be written to its end: {said}", path=path)
    done = run(api, guest, ["sha256sum", path], seconds=ERRAND, pace=pace)
    if done.stdout.split()[:1] != [hashlib.sha256(data).hexdigest().encode()]:
        raise GuestFileDamaged(f"{path} in {guest} is not what was written.", path=path)


def read_file(api: Api, guest: Guest, path: str, *, most: int = LONGEST_FILE) -> bytes:
    """Return a file's content, read in pieces where Proxmox VE can do that.

    Raises GuestFileDamaged for one of more than ``most`` bytes, GuestAgentError for one that cannot be read, and what
    the client raises.
    """
    _absolute(path)
    content = bytearray()
    while True:
        try:
            piece = _read_piece(api, guest, path, len(content))
        except ProxmoxError as wrong:
            if wrong.details.get("status") != 400 or content:
                raise _unreadable(wrong, guest, path) from wrong
            return _read_whole(api, guest, path, most)
        content += piece
        if len(content) > most:
            raise GuestFileDamaged(f"{path} in {guest} has more than {most} bytes.", path=path)
        if len(piece) < READ:
            return bytes(content)


def _begin(api: Api, guest: Guest, argv: Sequence[str], stdin: str) -> int:
    more = {"input-data": stdin} if stdin else {}
    try:
        answer = api.post(f"{guest.path}/agent/exec", command=list(argv), **more)
    except ProxmoxUnreachable as wrong:
        if wrong.details.get("status") != _WORKER_DIED:
            raise
        # The worker dies on the quotation marks in the agent's own sentence about a program that is not there.
        raise GuestProgramMissing(f"{argv[0]} cannot be started in {guest}; does it exist there?") from wrong
    return int(answer["pid"])


def _look(api: Api, guest: Guest, pid: int) -> dict[str, Any]:
    """Return a program's status; as long as nobody answers, it is taken to go on."""
    try:
        status: dict[str, Any] = api.get(f"{guest.path}/agent/exec-status", pid=pid)
    except (GuestAgentSilent, ProxmoxUnreachable):
        return {"exited": 0}
    return status


def _ended(status: dict[str, Any]) -> Ended:
    return Ended(
        status.get("exitcode"),
        status.get("signal"),
        _bytes(str(status.get("out-data", ""))),
        _bytes(str(status.get("err-data", ""))),
        bool(status.get("out-truncated")),
        bool(status.get("err-truncated")),
    )


def _bytes(text: str) -> bytes:
    """Return the bytes of a stream: Proxmox VE makes one character of each byte."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _write(api: Api, guest: Guest, path: str, piece: bytes) -> None:
    content = base64.b64encode(piece).decode()
    api.post(f"{guest.path}/agent/file-write", file=path, content=content, encode=0)


def _read_piece(api: Api, guest: Guest, path: str, offset: int) -> bytes:
    answer = api.get(f"{guest.path}/agent/file-read", file=path, offset=offset, count=READ, decode=0)
    try:
        return base64.b64decode(str(answer.get("content", "")), validate=True)
    except ValueError as wrong:  # also what is wrong with the base64
        raise GuestFileDamaged(f"{path} in {guest} did not arrive whole.", path=path) from wrong


def _read_whole(api: Api, guest: Guest, path: str, most: int) -> bytes:
    """Read a file in one piece, as 8.x can."""
    try:
        answer = api.get(f"{guest.path}/agent/file-read", file=path)
    except ProxmoxError as wrong:
        raise _unreadable(wrong, guest, path) from wrong
    content = _bytes(str(answer.get("content", "")))
    if answer.get("truncated") or len(content) > most:
        raise GuestFileDamaged(f"{path} in {guest} has more than {min(most, LONGEST_FILE)} bytes.", path=path)
    return content


def _unreadable(wrong: ProxmoxError, guest: Guest, path: str) -> ProxmoxError:
    if "failed to open file" not in str(wrong.details.get("reason", "")):
        return wrong
    return GuestAgentError(f"{path} in {guest} cannot be opened: {wrong.details['reason']}", **wrong.details)


def _absolute(path: str) -> None:
    if not path.startswith("/") or "\0" in path:
        raise ValidationFailed("A file in a guest is named by its absolute path.", field="path")
