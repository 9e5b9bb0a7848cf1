"""Files of secrets that cannot be read are named by their setting, not by their path."""

from pathlib import Path

import pytest

from nanny_ops.control.playbooks.secret_file import must_be_readable
from nanny_ops.control.settings import Settings
from nanny_ops.errors import NotConfigured


def test_nothing_is_needed_where_nothing_is_set() -> None:
    must_be_readable(Settings())


@pytest.mark.parametrize("setting", ["playbook_ssh_key_file", "playbook_vault_password_file"])
def test_a_file_that_cannot_be_read_is_told_by_its_setting(tmp_path: Path, setting: str) -> None:
    for wrong in (tmp_path / "missing", tmp_path):
        with pytest.raises(NotConfigured, match=setting) as told:
            must_be_readable(Settings.model_validate({setting: wrong}))
        assert str(tmp_path) not in told.value.message


def test_one_that_is_hidden_from_the_service_is_told_as_that() -> None:
    looked: list[Path] = []

    def refuse(path: Path) -> None:
        looked.append(path)
        raise PermissionError(13, "Permission denied")

    key = Path("/root/.ssh/id_ed25519")
    with pytest.raises(NotConfigured, match="below /root and /home") as told:
        must_be_readable(Settings(playbook_ssh_key_file=key), refuse)
    assert looked == [key]
    assert "The file of the SSH key cannot be read: Permission denied. The setting is playbook_ssh_key_file." in str(
        told.value
    )
    assert "id_ed25519" not in told.value.message
