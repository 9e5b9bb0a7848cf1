"""Start programs: the one door to subprocess. An argv, never a shell; a deadline, a process session, bounded output."""

import errno
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from nanny_ops.errors import ProgramMissing
from nanny_ops.protocol.patch import TRUNCATION_MARK

#: Bytes of each stream that :func:`run` keeps unless told otherwise.
DEFAULT_CAP = 8 * 1024 * 1024
#: Bytes of each stream's end that :func:`run_to_files` keeps in memory.
TAIL = 2 * 1024 * 1024
#: Seconds between asking a program to end and killing it.
GRACE = 10.0
#: Seconds to go on reading after a program has ended, because a grandchild may hold the pipe for ever.
DRAIN = 2.0
#: Seconds between two looks at deadlines; also the delay with which a cancel is noticed.
TICK = 0.25
_CHUNK = 65536


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a program ended. ``exit_code`` is minus the signal's number, None where even SIGKILL had no effect."""

    argv: tuple[str, ...]
    exit_code: int | None
    stdout: bytes
    stderr: bytes
    timed_out: bool = False
    #: True where ``stopping`` asked for the end.
    stopped: bool = False
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    #: Why an output file could not be written to its end; empty if it could.
    write_error: str = ""
    disk_full: bool = False
    seconds: float = 0.0


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    cap: int = DEFAULT_CAP,
    grace: float = GRACE,
) -> Done:
    """Run a program to its end and return what it said.

    ``timeout`` and ``grace`` are seconds, ``cap`` bytes per stream; what exceeds it is read and thrown away. Without
    ``stdin`` the program reads from /dev/null. Raises ProgramMissing.
    """
    out, err = _Memory(cap), _Memory(cap)
    end = _Child(argv, out, err, stdin=stdin, env=env, cwd=cwd).conduct(timeout, grace, lambda: False)
    return Done(
        argv=tuple(argv),
        exit_code=end.exit_code,
        stdout=bytes(out.kept),
        stderr=bytes(err.kept),
        timed_out=end.timed_out,
        stdout_truncated=out.truncated,
        stderr_truncated=err.truncated,
        seconds=end.seconds,
    )


def run_to_files(
    argv: Sequence[str],
    *,
    timeout: float,
    stdout: Path,
    stderr: Path,
    cap: int,
    stopping: Callable[[], bool],
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    grace: float = GRACE,
    born: Callable[[int], None] = lambda _leader: None,
    append: bool = False,
    stdin: bytes | None = None,
) -> Done:
    """Run a program whose output grows in two files of at most ``cap`` bytes, the last line saying where one was cut.

    ``stopping`` is asked every :data:`TICK` seconds; when true the program is ended as at its deadline. ``stdout`` and
    ``stderr`` of the answer hold the last :data:`TAIL` bytes. ``born`` is told the number of the program's session.
    With ``append`` both files go on where they end. Without ``stdin`` the program reads from /dev/null. A full disk
    never ends the program. Raises ProgramMissing, and OSError if a file cannot even be created.
    """
    with (
        stdout.open("a+b" if append else "wb", buffering=0) as one,
        stderr.open("a+b" if append else "wb", buffering=0) as two,
    ):
        out, err = _file(one, cap, append), _file(two, cap, append)
        child = _Child(argv, out, err, stdin=stdin, env=env, cwd=cwd)
        born(child.process.pid)
        end = child.conduct(timeout, grace, stopping)
        out.finish()
        err.finish()
    trouble = out.trouble or err.trouble
    return Done(
        argv=tuple(argv),
        exit_code=end.exit_code,
        stdout=out.tail,
        stderr=err.tail,
        timed_out=end.timed_out,
        stopped=end.stopped,
        stdout_truncated=out.truncated,
        stderr_truncated=err.truncated,
        write_error=str(trouble or ""),
        disk_full=trouble is not None and trouble.errno in (errno.ENOSPC, errno.EDQUOT),
        seconds=end.seconds,
    )


def daemonize() -> None:
    """Go on in a grandchild of the caller: own session, / as directory, /dev/null as stdio.

    The first process ends at once, so whoever waits for it knows that the daemon lives. Open files and their locks go
    along. Call it before any thread is started.
    """
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    if null > 2:
        os.close(null)


class _Sink(Protocol):
    """Where one stream goes."""

    def take(self, data: bytes, /) -> None:
        """Accept a piece; never raise."""


@dataclass
class _Memory:
    """Keep the first ``cap`` bytes."""

    cap: int
    kept: bytearray = field(default_factory=bytearray)
    truncated: bool = False

    def take(self, data: bytes) -> None:
        room = self.cap - len(self.kept)
        self.kept += data[:room] if room > 0 else b""
        self.truncated = self.truncated or len(data) > room


@dataclass
class _File:
    """Write the first ``cap`` bytes to a file, keep the last ones in memory."""

    file: IO[bytes]
    cap: int
    size: int = 0
    last: bytearray = field(default_factory=bytearray)
    truncated: bool = False
    trouble: OSError | None = None

    def take(self, data: bytes) -> None:
        self.last += data
        if len(self.last) > 2 * TAIL:
            del self.last[:-TAIL]
        room = max(0, self.cap - self.size)
        self.truncated = self.truncated or len(data) > room
        self._write(data[:room])

    def finish(self) -> None:
        """Mark the cut, inside the cap, and wait for the disk: a result must never outlive its output."""
        mark = f"\n{TRUNCATION_MARK}\n".encode()
        try:
            if self.truncated:
                self.file.truncate(max(0, min(self.size, self.cap - len(mark))))
                self.file.seek(0, os.SEEK_END)
                self.file.write(mark)
            os.fsync(self.file.fileno())
        except OSError as wrong:
            self.trouble = self.trouble or wrong

    @property
    def tail(self) -> bytes:
        """Return the end of the stream."""
        return bytes(self.last[-TAIL:])

    def _write(self, data: bytes) -> None:
        """Write what fits; after the first failure note it and let the rest go, so that the program never blocks."""
        view = memoryview(data)
        while view and self.trouble is None:
            try:
                count = self.file.write(view)
            except OSError as wrong:
                self.trouble = wrong
                self.truncated = True
            else:
                self.size += count
                view = view[count:]


def _file(file: IO[bytes], cap: int, append: bool) -> _File:
    """Return the sink of a stream; one that goes on remembers the end of what is there."""
    if not append:
        return _File(file, cap)
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - TAIL))
    last = bytearray(file.read(TAIL))
    return _File(file, cap, size=min(size, cap), last=last)


@dataclass(frozen=True)
class _End:
    exit_code: int | None
    timed_out: bool
    stopped: bool
    seconds: float


class _Child:
    """One running program, its pipes and its deadlines (all in seconds of the monotonic clock)."""

    def __init__(
        self,
        argv: Sequence[str],
        out: _Sink,
        err: _Sink,
        *,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None,
        cwd: str | None,
    ) -> None:
        self.began = time.monotonic()
        self.process = _start(argv, stdin, env, cwd)
        self.selector = selectors.DefaultSelector()
        self.input = memoryview(stdin or b"")
        for stream, sink in ((self.process.stdout, out), (self.process.stderr, err)):
            self._watch(stream, selectors.EVENT_READ, sink)
        if self.process.stdin is not None:
            self._watch(self.process.stdin, selectors.EVENT_WRITE, None)
        self.timed_out = self.stopped = False
        self.kill_at: float | None = None
        self.drain_until: float | None = None

    def _watch(self, stream: IO[bytes] | None, event: int, sink: _Sink | None) -> None:
        assert stream is not None  # noqa: S101  Popen was asked for this pipe
        os.set_blocking(stream.fileno(), False)
        self.selector.register(stream, event, sink)

    def conduct(self, timeout: float, grace: float, stopping: Callable[[], bool]) -> _End:
        """Pump until the program and its pipes have ended, or a deadline says that is enough."""
        try:
            while not self._over(time.monotonic()):
                self._pump()
                self._enforce(time.monotonic(), timeout, grace, stopping)
        finally:
            # Without an exit code an exception ends the waiting: a program that nobody waits for must not go on.
            if self.kill_at is not None or self.process.returncode is None:
                signal_session(self.process.pid, signal.SIGKILL)
                self._nap()
            self._close()
        return _End(self.process.returncode, self.timed_out, self.stopped, time.monotonic() - self.began)

    def _over(self, now: float) -> bool:
        if self.process.poll() is None and (self.kill_at is None or now < self.kill_at + DRAIN):
            return False
        if self.kill_at is not None and now < self.kill_at and session_members(self.process.pid):
            return False
        if not self.selector.get_map():
            return True
        if self.drain_until is None:
            self.drain_until = now + DRAIN
        return now >= self.drain_until

    def _enforce(self, now: float, timeout: float, grace: float, stopping: Callable[[], bool]) -> None:
        """Ask the program to end at its deadline, and kill what is left of its session ``grace`` seconds later."""
        if self.kill_at is not None:
            if now >= self.kill_at:
                signal_session(self.process.pid, signal.SIGKILL)
        elif self.process.poll() is None:
            self.timed_out = now - self.began >= timeout
            self.stopped = not self.timed_out and stopping()
            if self.timed_out or self.stopped:
                self.kill_at = now + grace
                signal_session(self.process.pid, signal.SIGTERM)

    def _pump(self) -> None:
        if not self.selector.get_map():
            self._nap()
            return
        for key, _ in self.selector.select(TICK):
            if key.data is None:
                self._feed(key.fd)
            else:
                self._read(key)

    def _nap(self) -> None:
        if self.process.returncode is not None:
            time.sleep(TICK)
            return
        try:
            self.process.wait(TICK)
        except subprocess.TimeoutExpired:
            return

    def _read(self, key: selectors.SelectorKey) -> None:
        try:
            data = os.read(key.fd, _CHUNK)
        except BlockingIOError:
            return
        if data:
            key.data.take(data)
        else:
            self.selector.unregister(key.fileobj)

    def _feed(self, descriptor: int) -> None:
        try:
            self.input = self.input[os.write(descriptor, self.input[:_CHUNK]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.input = self.input[:0]  # a program may end without reading all that it is given
        if not self.input and self.process.stdin is not None:
            self.selector.unregister(self.process.stdin)
            self.process.stdin.close()

    def _close(self) -> None:
        self.selector.close()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def _start(
    argv: Sequence[str], stdin: bytes | None, env: Mapping[str, str] | None, cwd: str | None
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
            umask=0o022,  # a hardened unit has 0077, with which packages would be unpacked for root alone
            bufsize=0,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError) as wrong:
        raise ProgramMissing(f"{argv[0]} cannot be started here: {wrong.strerror}.", program=argv[0]) from wrong


def session_members(leader: int) -> list[int]:
    """Return the living processes of a session: also those that moved to another process group."""
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _session(entry) == leader]


def signal_session(leader: int, number: signal.Signals) -> None:
    """Send a signal to every process of a session."""
    for pid in session_members(leader):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _session(entry: Path) -> int:
    """Return a process's session; 0 for one that has ended, even if nobody has collected it yet."""
    try:
        stat = (entry / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    state, _parent, _group, session = stat.rpartition(b")")[2].split()[:4]
    return 0 if state in (b"Z", b"X") else int(session)
