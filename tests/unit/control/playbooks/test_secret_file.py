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
