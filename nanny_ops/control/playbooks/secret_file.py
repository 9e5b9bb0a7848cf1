"""The files of secrets that runs are given by path: the SSH key, and the password of Ansible's vault."""

from collections.abc import Callable
from pathlib import Path

from nanny_ops.control.settings import Settings
from nanny_ops.errors import NotConfigured

#: Settings that name one, and what it is.
NAMED = {
    "playbook_ssh_key_file": "the SSH key",
    "playbook_vault_password_file": "the vault's password",
    "playbook_known_hosts_file": "the known host keys",
    "playbook_ca_file": "the certificates",
}


#: What is said where the file may be there.
HIDDEN = " It must be readable for the control plane's user, whose unit hides all below /root and /home."


def _look(path: Path) -> None:
    with path.open("rb") as file:
        file.read(1)


def must_be_readable(settings: Settings, look: Callable[[Path], None] = _look) -> None:
    """Raise NotConfigured, with the setting, for a file that cannot be read; the path itself is not told."""
    for setting, what in NAMED.items():
        path: Path | None = getattr(settings, setting)
        if path is None:
            continue
        try:
            look(path)
        except OSError as wrong:
            told = f"The file of {what} cannot be read: {wrong.strerror}. The setting is {setting}."
            more = HIDDEN if isinstance(wrong, PermissionError) else ""
            raise NotConfigured(told + more, setting=setting) from wrong
