"""The folder of a run, for its user alone: what was ordered, what happens, what it came to.

Two processes meet here and nowhere else: the keeper, which holds the lock as long as it lives, and the control plane.
"""

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from nanny_ops.protocol.playbook_run import RunOutcome

#: Bytes of happenings that are read at once.
PIECE = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a keeper is told; paths are absolute, an empty one is none. Seconds, and MiB for each process."""

    run_id: str
    playbook: str
    check: bool
    timeout: int
    memory: int
    forks: int
    #: Where Ansible keeps temporary files and the sockets of its connections, for all runs.
    ansible_home: str = ""
    remote_user: str = ""
    ssh_key_file: str = ""
    vault_password_file: str = ""
    known_hosts_file: str = ""
    #: Host keys that are believed in this run alone.
    host_keys_file: str = ""
    #: The control plane that playbooks may ask, and the file of certificates by which they check it.
    url: str = ""
    ca_file: str = ""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What a run came to; ``hosts`` is Ansible's recap of each."""

    outcome: RunOutcome
    reason: str
    exit_code: int | None = None
    hosts: dict[str, dict[str, int]] = field(default_factory=dict)
    left_out: int = 0


@dataclass(frozen=True)
class Folders:
    """Where the folders of all runs of a data directory lie."""

    path: Path

    @property
    def home(self) -> str:
        """Return what this data directory is called by other control planes; made up once."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = self.path / "home"
        if not name.exists():
            new = self.path / f"home.{uuid.uuid4()}"
            new.write_text(f"home-{uuid.uuid4()}")
            with suppress(FileExistsError):
                os.link(new, name)  # whoever comes second takes what is there
            new.unlink()
        return name.read_text()

    @property
    def ansible_home(self) -> Path:
        """Where Ansible keeps temporary files and the sockets of its connections, for all runs."""
        return self.path.absolute() / "ansible"

    def of(self, run_id: str) -> "Folder":
        """Return a run's folder."""
        return Folder(self.path / "runs" / run_id)

    def alone(self) -> IO[bytes] | None:
        """Return what keeps other processes from carrying runs out as long as it is open; None where one does."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (self.path / "lock").open("ab")
        if _lock(file.fileno()):
            return file
        file.close()
        return None


@dataclass(frozen=True)
class Folder:
    """One run's folder."""

    path: Path

    @property
    def runner(self) -> Path:
        """Where ansible-runner finds its input and leaves its own files; nothing of it outlives the run."""
        return self.path / "runner"

    @property
    def happenings(self) -> Path:
        """What happens, a line of JSON each."""
        return self.path / "events.jsonl"

    @property
    def output(self) -> Path:
        """What Ansible prints, without secrets."""
        return self.path / "output.txt"

    @property
    def host_keys(self) -> Path:
        """The host keys that are believed in this run alone, beside those that the settings name."""
        return self.path / "known_hosts"

    def prepare(
        self, order: Order, inventory: Mapping[str, Any], variables: Mapping[str, Any], host_keys: Sequence[str] = ()
    ) -> None:
        """Write all that a keeper needs, each file for this user alone; the order comes last."""
        (self.runner / "env").mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
        _write(self.runner / "inventory.json", inventory)
        _write(self.runner / "env" / "extravars", variables)
        if host_keys:
            self.host_keys.touch(mode=0o600)
            self.host_keys.write_text("".join(f"{line}\n" for line in host_keys))
        _write(self.path / "order.json", asdict(order))

    def order(self) -> Order:
        """Return what was ordered."""
        return Order(**json.loads((self.path / "order.json").read_text()))

    def begin(self) -> bool:
        """Note that the run is begun; false where it was before, since none is begun twice."""
        try:
            os.close(os.open(self.path / "began", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return False
        return True

    @property
    def began(self) -> bool:
        """Tell whether a keeper has begun the run."""
        return (self.path / "began").exists()

    def cancel(self) -> None:
        """Ask the keeper to end the run."""
        (self.path / "cancel").touch(mode=0o600)

    @property
    def cancelled(self) -> bool:
        """Tell whether somebody has asked for the end."""
        return (self.path / "cancel").exists()

    def end(self, ending: Ending) -> None:
        """Write what the run came to, whole or not at all, and drop what was needed to run it."""
        shutil.rmtree(self.runner, ignore_errors=True)
        new = self.path / "end.json.new"
        _write(new, asdict(ending))
        new.replace(self.path / "end.json")

    def ending(self) -> Ending | None:
        """Return what the run came to; None where nobody has written it."""
        try:
            told = json.loads((self.path / "end.json").read_text())
        except FileNotFoundError:
            return None
        return Ending(**{**told, "outcome": RunOutcome(told["outcome"])})

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the folder's lock; yields false where another has it."""
        descriptor = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            yield _lock(descriptor)
        finally:
            os.close(descriptor)

    def is_kept(self) -> bool:
        """Tell whether the run's keeper lives."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not _lock(descriptor)
        finally:
            os.close(descriptor)

    def read(self, offset: int) -> tuple[list[dict[str, Any]], int]:
        """Return the happenings behind a byte, some at once, and where to go on; a line that is being written waits."""
        try:
            with self.happenings.open("rb") as file:
                file.seek(offset)
                piece = file.read(PIECE)
        except FileNotFoundError:
            return [], offset
        whole = piece[: piece.rfind(b"\n") + 1]
        return [json.loads(line) for line in whole.splitlines()], offset + len(whole)

    def drop(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, value: Any) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
