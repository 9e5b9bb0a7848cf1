"""The keeper: a process of its own for each run, which outlives the control plane and holds the run to its limits."""

import contextlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from nanny_ops.control.playbooks import descent, pass_on, runner
from nanny_ops.control.playbooks.folder import Ending, Folder, Order
from nanny_ops.control.playbooks.happening import Account, clean
from nanny_ops.errors import MachineError
from nanny_ops.machine.run import daemonize, run
from nanny_ops.protocol.patch import TRUNCATION_MARK
from nanny_ops.protocol.playbook_run import PlaybookEvent, RunOutcome

#: Seconds that a keeper may take until it has left its starter.
START = 30
#: Bytes of what Ansible prints that are kept, and of a file that a process of the run may write.
OUTPUT_CAP, FILE_CAP = 4 * 1024 * 1024, 4 * 1024**3
#: Bytes of a secret's file that are looked for in what is printed, and the fewest that make one.
SECRET_CAP, SECRET_LEAST = 65_536, 6


def launch(folder: Folder, token: str = "") -> None:
    """Start the keeper of a run and return; it lives on, and has the run's token in its environment alone.

    Raises MachineError where it cannot be started.
    """
    argv = [sys.executable, "-P", "-m", "nanny_ops.control.playbooks.keeper", str(folder.path)]
    environ = runner.environment(folder.order()) | ({pass_on.TOKEN: token} if token else {})
    done = run(argv, timeout=START, env=environ, cap=4096)
    if done.exit_code != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise MachineError(f"The run's process did not start: {said[-1] if said else done.exit_code}")


def keep(folder: Folder, clock: Callable[[], float] = time.monotonic) -> None:
    """Run what the folder's order says, once; at the end nothing of it lives on."""
    with folder.held() as alone:
        if not alone or not folder.begin():
            return
        try:
            ending = _run(folder, folder.order(), clock)
        except Exception as wrong:  # noqa: BLE001  the only one of this process: whatever it is, the run has ended
            ending = Ending(outcome=RunOutcome.PLAY_FAILED, reason=f"{type(wrong).__name__}: {wrong}"[:2000])
        descent.kill(lambda: descent.descendants(os.getpid()))
        folder.end(ending)


def _run(folder: Folder, order: Order, clock: Callable[[], float]) -> Ending:
    descent.adopt_orphans()
    limit(order)
    give_way()
    deadline = clock() + order.timeout
    why: list[RunOutcome] = []

    def end(_number: int, _frame: object) -> None:
        why.append(RunOutcome.UNKNOWN)

    signal.signal(signal.SIGTERM, end)

    def over() -> bool:
        if not why and folder.cancelled:
            why.append(RunOutcome.CANCELLED)
        elif not why and clock() >= deadline:
            why.append(RunOutcome.TIMED_OUT)
        return bool(why)

    # ansible-runner writes its own environment to a file; who needs the token reads it from where it began.
    token = os.environ.pop(pass_on.TOKEN, "")
    with Papers.of(folder, secrets_of(order, token)) as papers:
        account = Account(papers.tell, papers.secrets)
        ended = runner.run(folder, order, account, over, papers.print, _end_all)
    if not why:
        return ended
    reason = {
        RunOutcome.CANCELLED: "It was cancelled, and all its processes on this machine were ended.",
        RunOutcome.UNKNOWN: "Its process was told to end from outside, perhaps with the control plane's whole unit.",
        RunOutcome.TIMED_OUT: f"It took longer than {order.timeout} seconds and was ended with all its processes.",
    }
    return Ending(outcome=why[0], reason=reason[why[0]], exit_code=None, hosts=account.hosts, left_out=account.left_out)


def give_way(nice: Callable[[int], object] = os.nice) -> None:
    """Let the control plane go first, unless the unit forbids even that, as ours does with @resources."""
    with contextlib.suppress(PermissionError):
        nice(5)


def limit(order: Order) -> None:
    """Bound each process of the run: memory, processor time, files. Where the keeper is killed, these stay."""
    memory = order.memory * 1024 * 1024
    wanted = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: order.timeout,
        resource.RLIMIT_FSIZE: FILE_CAP,
        resource.RLIMIT_CORE: 0,
    }
    for what, value in wanted.items():
        _, hard = resource.getrlimit(what)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (most, most))


def secrets_of(order: Order, token: str = "") -> list[str]:
    """Return the token, and the lines of the files of secrets: whatever prints one, it is not written down."""
    found = [token] if token else []
    for name in (order.ssh_key_file, order.vault_password_file):
        if name:
            with Path(name).open("rb") as file:
                lines = file.read(SECRET_CAP).decode("utf-8", "replace").splitlines()
            found += [line.strip() for line in lines if len(line.strip()) >= SECRET_LEAST and "-----" not in line]
    return found


@dataclass
class Papers:
    """The two files in which a run is told of: records, and what Ansible prints, both without secrets and bounded."""

    records: IO[str]
    output: IO[bytes]
    secrets: list[str] = field(default_factory=list)
    room: int = OUTPUT_CAP

    @classmethod
    def of(cls, folder: Folder, secrets: list[str]) -> "Papers":
        """Open both."""
        return cls(_private(folder.happenings, "a"), _private(folder.output, "ab", buffering=0), secrets)

    def tell(self, event: PlaybookEvent) -> None:
        """Write a record."""
        self.records.write(json.dumps(asdict(event)) + "\n")
        self.records.flush()

    def print(self, text: str) -> None:
        """Write what was printed; the last line says where it was cut."""
        if self.room <= 0:
            return
        data = clean(text, self.secrets).encode("utf-8", "replace") + b"\n"
        if len(data) > self.room:
            data, self.room = data[: self.room] + f"\n{TRUNCATION_MARK}\n".encode(), 0
        self.room -= len(data)
        self.output.write(data)

    def __enter__(self) -> "Papers":
        """Return itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close both."""
        self.records.close()
        self.output.close()


def _private(path: Path, mode: str, **more: Any) -> IO[Any]:
    return open(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600), **more)


def _end_all() -> None:
    descent.kill(lambda: descent.descendants(os.getpid()))


def main() -> None:
    """Leave the starter, then keep the run of the folder that is named."""
    folder = Folder(Path(sys.argv[1]))
    folder.order()
    daemonize()
    with contextlib.suppress(FileNotFoundError):  # the run was dropped meanwhile
        keep(folder)


if __name__ == "__main__":
    main()
