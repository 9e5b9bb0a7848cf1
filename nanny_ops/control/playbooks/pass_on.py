"""Between ansible-runner and Ansible: gives a run's token on from the keeper's memory.

ansible-runner writes the environment that it knows into a file, and closes all descriptors of its child. So the keeper
keeps the token out of it, and what it starts looks it up where it was handed to the keeper: proc(5), environ.
"""

import os
import sys
from pathlib import Path

#: The variable in which the collection looks for its token.
TOKEN = "NANNY_OPS_TOKEN"  # noqa: S105  the name, no token


def handed(environ: Path) -> dict[str, str]:
    """Return the token's variable out of a process's first environment, nothing where it had none."""
    pairs = (one.partition(b"=") for one in environ.read_bytes().split(b"\0"))
    return {name.decode(): value.decode() for name, _, value in pairs if name == TOKEN.encode()}


def main() -> None:
    """Become ansible-playbook with the same arguments, and with the token that the parent was handed."""
    program = str(Path(sys.executable).parent / "ansible-playbook")
    given = os.environ | handed(Path(f"/proc/{os.getppid()}/environ"))
    os.execve(program, [program, *sys.argv[1:]], given)  # noqa: S606  becomes it: no process is started


if __name__ == "__main__":
    main()
