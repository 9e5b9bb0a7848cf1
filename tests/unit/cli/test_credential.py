"""Where the token is kept, and what goes before it."""

from pathlib import Path

import pytest

from nanny_ops.cli.credential import DEFAULT_URL, Credential, file, find, store
from nanny_ops.errors import SettingsError

KEPT = Credential("https://nanny.example.com", "secret")


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    for credential in (Credential("http://127.0.0.1", "old"), KEPT):
        path = store(environ, credential)
    assert path == tmp_path / "config" / "nanny-ops" / "login.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["login.json"]
    assert find(environ) == KEPT


def test_the_environment_goes_first(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    assert file(environ) == tmp_path / ".config" / "nanny-ops" / "login.json"
    store(environ, KEPT)
    assert find({**environ, "NANNY_TOKEN": "t"}) == Credential(DEFAULT_URL, "t")
    assert find({**environ, "NANNY_TOKEN": "t", "NANNY_URL": "https://b"}) == Credential("https://b", "t")
    assert find({**environ, "NANNY_URL": KEPT.url + "/"}) == KEPT


def test_a_token_is_never_sent_to_another_place(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    store(environ, KEPT)
    with pytest.raises(SettingsError, match="login"):
        find({**environ, "NANNY_URL": "https://evil.example.com"})


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"url": "x"}'])
def test_without_a_good_file_nobody_is_signed_in(tmp_path: Path, text: str | None) -> None:
    environ = {"HOME": str(tmp_path)}
    if text is not None:
        store(environ, KEPT).write_text(text)
    with pytest.raises(SettingsError, match="nanny-ops login"):
        find(environ)
