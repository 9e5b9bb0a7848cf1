"""Programs that the demo keeps running: started in sessions of their own, ended with everything they started."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nanny_ops.errors import MachineError, ProgramTimeout

#: Seconds a program gets to end by itself.
GRACE = 25


class Child:
    """One running program; what it writes goes to a file."""

    def __init__(
        self, name: str, argv: Sequence[str], environ: Mapping[str, str], log: Path, stdin: Path = Path(os.devnull)
    ) -> None:
        """Start it; it reads a file, by default an empty one."""
        self.name, self.log = name, log
        with log.open("ab") as out, stdin.open("rb") as source:
            self._process = subprocess.Popen(
                list(argv), env=dict(environ), stdin=source, stdout=out, stderr=out, start_new_session=True
            )

    @property
    def running(self) -> bool:
        """Tell whether it still runs."""
        return self._process.poll() is None

    def said(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text(errors="replace")

    def await_words(self, pattern: str, deadline: float) -> str:
        """Return the first line that holds a text, within ``deadline`` seconds. Raises MachineError."""
        ends = time.monotonic() + deadline
        while time.monotonic() < ends:
            for line in self.said().splitlines():
                if pattern in line:
                    return line
            if not self.running:
                raise MachineError(f"{self.name} ended early; it said:\n{self.said()[-2000:]}")
            time.sleep(0.05)
        raise ProgramTimeout(f"{self.name} did not get ready within {deadline:.0f} seconds; see {self.log}.")

    def await_end(self, deadline: float) -> None:
        """Wait until it has ended well. Raises MachineError or ProgramTimeout."""
        try:
            code = self._process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise ProgramTimeout(f"{self.name} did not end within {deadline:.0f} seconds; see {self.log}.") from None
        if code:
            raise MachineError(f"{self.name} failed; it said:\n{self.said()[-2000:]}")

    def end(self, grace: float = GRACE) -> None:
        """End it, by force when it has not ended ``grace`` seconds after the request."""
        if not self.running:
            return
        self._process.terminate()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(GRACE)


class Nursery:
    """All children of the demo; the last started is ended first."""

    def __init__(self, logs: Path) -> None:
        """Write the logs below this directory."""
        self._logs = logs
        self._children: list[Child] = []

    def start(
        self, name: str, argv: Sequence[str], environ: Mapping[str, str], stdin: Path = Path(os.devnull)
    ) -> Child:
        """Start a program and keep it."""
        child = Child(name, argv, environ, self._logs / f"{name}.log", stdin)
        self._children.append(child)
        return child

    def first_dead(self) -> Child | None:
        """Return a child that should run but does not."""
        return next((child for child in self._children if not child.running), None)

    def forget(self, child: Child) -> None:
        """Stop expecting a child to run."""
        self._children.remove(child)

    def end(self) -> None:
        """End all."""
        threads = [threading.Thread(target=child.end) for child in reversed(self._children)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@contextlib.contextmanager
def nursery(logs: Path) -> Iterator[Nursery]:
    """Keep children until the block ends."""
    kept = Nursery(logs)
    try:
        yield kept
    finally:
        kept.end()


def show(argv: Sequence[str], environ: Mapping[str, str], deadline: float) -> int:
    """Run a program in the foreground, as a person would, and return its exit code."""
    return subprocess.run(list(argv), env=dict(environ), timeout=deadline, check=False).returncode
