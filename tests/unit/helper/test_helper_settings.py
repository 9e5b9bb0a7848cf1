"""The helper's settings come from one file that only root may write."""

from pathlib import Path

import pytest

from nanny_ops.errors import SettingsError
from nanny_ops.helper import settings


def write(folder: Path, text: str) -> Path:
    path = folder / "helper.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_each_setting_has_a_default_and_a_sentence(tmp_path: Path) -> None:
    found = settings.load(write(tmp_path, ""))
    assert {row.key: str(getattr(found, row.key)) for row in settings.SETTINGS} == {
        row.key: str(row.default) for row in settings.SETTINGS
    }
    assert all(len(row.help.split()) >= 3 for row in settings.SETTINGS)


def test_values_are_read(tmp_path: Path) -> None:
    found = settings.load(write(tmp_path, "user = 1000\nidle_seconds = 5\nstate_dir = '/x'\n"))
    assert (found.user, found.idle_seconds, found.state_dir) == ("1000", 5, Path("/x"))


@pytest.mark.parametrize(
    "text",
    ["idle_seconds = 0", "idle_seconds = true", "user = true", "state_dir = 'x'", "token = 'y'", "= ", "user = []"],
)
def test_what_is_wrong_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError):
        settings.load(write(tmp_path, text))


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    path.chmod(0o666)
    with pytest.raises(SettingsError, match="changed by others"):
        settings.load(path)


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        settings.load(tmp_path / "none.toml")


def test_a_token_for_jobs_is_taken_from_a_private_file_alone(tmp_path: Path) -> None:
    token = tmp_path / "token"
    found = settings.load(write(tmp_path, f"pve_token_file = '{token}'\npve_fingerprint = '{'ab' * 32}'\n"))
    assert found.proxmox is None
    token.write_text("a@pve!b=c\n")
    token.chmod(0o600)
    assert found.proxmox is not None
    assert (found.proxmox.access.token, found.proxmox.access.ca_file) == ("a@pve!b=c", "")
    token.chmod(0o644)
    with pytest.raises(SettingsError):
        _ = found.proxmox
