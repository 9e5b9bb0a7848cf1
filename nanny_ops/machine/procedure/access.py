"""How a job's supervisor reaches the Proxmox VE API: by a private file beside the folder of the jobs.

Whoever owns that folder writes it: an agent that is root, or the privileged helper from its own settings. It holds a
token, so it travels in no order, no argument list and no environment.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from nanny_ops.errors import MachineError
from nanny_ops.machine import kept_file
from nanny_ops.machine.proxmox.task import Api
from nanny_ops.machine.verbs import ProxmoxAccess

NAME = "proxmox-access.json"
#: Bytes of the file, at most.
CAP = 64 * 1024
_FOREIGN = 0o077


class Conversation(Api, Protocol):
    """A client that can be closed."""

    def close(self) -> None:
        """Close its connections."""


def connect(access: ProxmoxAccess) -> Conversation:
    """Return a client; nothing is sent. Raises ProxmoxError."""
    # Only here: a job without a plan need not pay for it, 80 ms of CPU and 5 MiB.
    from nanny_ops.machine.proxmox.client import Client

    return Client(access)


@dataclass(frozen=True, kw_only=True)
class JobAccess:
    """The access, and the name of this node there; empty is the name of whoever answers."""

    access: ProxmoxAccess
    node: str = ""


def path_of(jobs_dir: Path) -> Path:
    """Return where the file lies for the jobs in a folder."""
    return jobs_dir.parent / NAME


def write(jobs_dir: Path, access: JobAccess | None) -> None:
    """Write the file, readable for its owner alone, or remove it. Raises OSError."""
    path = path_of(jobs_dir)
    if access is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept_file.replace(path, json.dumps(asdict(access)).encode())


def read(jobs_dir: Path) -> JobAccess | None:
    """Read the file, None where there is none. Raises MachineError for one that others may touch, or cannot be read."""
    path = path_of(jobs_dir)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as wrong:
        raise MachineError(f"{path} cannot be read: {wrong.strerror}.") from wrong
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & _FOREIGN:
            raise MachineError(f"{path} holds a token and must be this user's own, with mode 0600; it is not used.")
        try:
            values = json.loads(file.read(CAP))
            return JobAccess(access=ProxmoxAccess(**values["access"]), node=str(values["node"]))
        except (ValueError, KeyError, TypeError) as wrong:
            raise MachineError(f"{path} is no access to Proxmox VE: {type(wrong).__name__}.") from wrong
