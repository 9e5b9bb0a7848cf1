"""What is released: the agent for nodes, and the control plane."""

from collections.abc import Mapping
from dataclasses import dataclass

#: Folders of a service's files, as they are called in the repository and in a wheelhouse.
FOLDERS = ("systemd", "sysusers.d", "tmpfiles.d")


@dataclass(frozen=True)
class Product:
    """One of the two: its name and its main program, what it needs, and where its files lie below ``packaging``."""

    name: str
    #: Of the project's own wheel.
    extras: str
    #: Files of requirements/ that lock what it needs.
    locks: tuple[str, ...]
    #: Folder of ``FOLDERS`` and single file -> its path below ``packaging``.
    folders: Mapping[str, str]
    files: Mapping[str, str]
    #: Whether it carries the collection, whose roles the playbooks play that ship with it.
    collection: bool = False


AGENT = Product(
    name="nanny-agent",
    extras="agent",
    locks=("agent", "wheelhouse"),
    folders={folder: folder for folder in FOLDERS},
    files={
        "install.sh": "wheelhouse/install.sh",
        "product.sh": "wheelhouse/agent.sh",
        "agent.toml": "debian/agent.toml",
    },
)
#: With Ansible, by which it runs playbooks.
CONTROL_PLANE = Product(
    name="nanny-ops",
    extras="control,cli,ansible",
    locks=("ansible", "wheelhouse"),
    folders={folder: f"control/{folder}" for folder in FOLDERS},
    files={
        "install.sh": "wheelhouse/install.sh",
        "product.sh": "wheelhouse/control.sh",
        "control.toml": "control/control.toml",
        "nanny-ops-admin": "control/nanny-ops-admin",
    },
    collection=True,
)
PRODUCTS = (AGENT, CONTROL_PLANE)
