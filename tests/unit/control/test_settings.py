"""Settings: sources, precedence, and errors that name the nearest valid one."""

from pathlib import Path

import pytest

from nanny_ops.control.settings import SETTINGS, Settings, load
from nanny_ops.errors import SettingsError


def test_flags_beat_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    file = tmp_path / "control.toml"
    file.write_text('port = 1\nhost = "127.0.0.2"\nlog_format = "json"\n')
    settings = load({"NANNY_PORT": "2", "NANNY_HOST": "127.0.0.3"}, {"port": 3, "host": None}, file)
    assert (settings.port, settings.host, settings.log_format) == (3, "127.0.0.3", "json")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"NANNY_DATA_DRI": "/x"}, "did you mean 'NANNY_DATA_DIR'"),
        ({"NANNY_PORT": "many"}, "Setting 'port'"),
        ({"NANNY_PORT": "70000"}, "Setting 'port'"),
        ({"NANNY_RATE_LIMITS": "maybe"}, "Setting 'rate_limits'"),
        ({"NANNY_TLS_CERT": "/x"}, "go together"),
        ({"NANNY_SECRET_KEY_FILE": "/nowhere/key"}, "cannot read /nowhere/key"),
    ],
)
def test_what_is_wrong_is_named(environ: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load(environ, {})


def test_a_typo_in_the_file_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "control.toml"
    file.write_text("prot = 1\n")
    with pytest.raises(SettingsError, match="did you mean 'port'"):
        load({}, {}, file)
    file.write_text("port = \n")
    with pytest.raises(SettingsError, match="not valid TOML"):
        load({}, {}, file)
    with pytest.raises(SettingsError, match="Cannot read"):
        load({}, {}, tmp_path / "none.toml")


def test_agents_variables_are_not_ours() -> None:
    assert load({"NANNY_AGENT_STATE_DIR": "/x", "OTHER": "1"}, {}).port == 8000


def test_a_secret_can_come_from_a_file_and_never_shows(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s" * 40 + "\n")
    settings = load({"NANNY_SECRET_KEY_FILE": str(tmp_path / "key")}, {})
    assert settings.secret_key.get_secret_value() == "s" * 40
    assert "sss" not in repr(settings)


def test_a_credential_of_systemd_counts_where_nothing_else_is_said(tmp_path: Path) -> None:
    (tmp_path / "nanny-ops.database-url").write_text("postgresql:///handed\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert load(environ, {}).database_url.get_secret_value() == "postgresql:///handed"
    assert load({**environ, "NANNY_DATABASE_URL": "x"}, {}).database_url.get_secret_value() == "x"
    assert load(environ, {}).secret_key.get_secret_value() == ""


def test_every_setting_is_in_the_table_with_a_sentence() -> None:
    assert {row.key for row in SETTINGS} == set(Settings.model_fields)
    assert all(row.help.endswith(".") for row in SETTINGS)
