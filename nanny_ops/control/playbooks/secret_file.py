"""The files of secrets that runs are given by path: the SSH key, and the password of Ansible's vault."""

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


def must_be_readable(settings: Settings) -> None:
    """Raise NotConfigured, with the setting, for a file that cannot be read; the path itself is not told."""
    for setting, what in NAMED.items():
        path: Path | None = getattr(settings, setting)
        if path is None:
            continue
        try:
            with path.open("rb") as file:
                file.read(1)
        except OSError as wrong:
            raise NotConfigured(
                f"The file of {what} cannot be read: {wrong.strerror}. The setting is {setting}.", setting=setting
            ) from wrong
