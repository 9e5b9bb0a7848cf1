"""Settings: four sources in order, and every slip of the pen named."""

from pathlib import Path

import pytest

from nanny_ops.agent.settings import SETTINGS, Settings, enrollment_token, is_loopback, load, nearest, static_token
from nanny_ops.errors import SettingsError

URL = {"NANNYAPI_URL": "https://nanny.example"}
NOWHERE = Path("/nonexistent/agent.toml")


def test_flags_beat_environment_beats_file_beats_default(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('metrics_interval = 10\nproxmox_interval = 60\nlog_level = "debug"\n')
    environ = {**URL, "NANNY_AGENT_METRICS_INTERVAL": "20", "NANNY_AGENT_PROXMOX_INTERVAL": "90"}
    found = load({"metrics_interval": "40"}, environ, file)
    assert (found.metrics_interval, found.proxmox_interval, found.log_level) == (40, 90, "debug")
    assert found.pull_interval == 120


@pytest.mark.rows("G0-ME-04")
def test_metrics_are_read_every_thirty_seconds_by_default() -> None:
    assert load({}, URL, NOWHERE).metrics_interval == 30
    assert load({}, {**URL, "NANNY_AGENT_METRICS_INTERVAL": "15"}, NOWHERE).metrics_interval == 15


@pytest.mark.rows("G0-PX-06")
def test_proxmox_is_read_every_five_minutes_by_default() -> None:
    assert load({}, URL, NOWHERE).proxmox_interval == 300
    assert load({"proxmox_interval": "60"}, URL, NOWHERE).proxmox_interval == 60


def test_the_defaults_hang_on_the_state_directory(tmp_path: Path) -> None:
    found = load({"state_dir": str(tmp_path)}, URL, NOWHERE)
    assert found.token_path == tmp_path / "token.json"
    assert found.pmxcfs_root == Path("/etc/pve")


@pytest.mark.rows("G0-AU-01")
@pytest.mark.parametrize(
    "url",
    [
        "https://nanny.example",
        "https://nanny.example/base/",
        "http://127.0.0.1:8000",
        "http://localhost:3000",
        "http://[::1]:80",
        "http://127.9.9.9",
    ],
)
def test_good_addresses_pass_without_a_trailing_slash(url: str) -> None:
    assert load({"url": url}, {}, NOWHERE).url == url.rstrip("/")


@pytest.mark.rows("G0-AU-01")
@pytest.mark.parametrize(
    "url",
    [
        "http://nanny.example",
        "http://10.0.0.1:8000",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "ftp://nanny.example",
        "nanny.example",
        "https://",
        "https://user:word@nanny.example",
        "https://nanny.example/?a=b",
        "https://nanny.example:port",
        "https://[::1",
    ],
)
def test_bad_addresses_are_refused_with_the_name_of_the_setting(url: str) -> None:
    with pytest.raises(SettingsError, match="NANNYAPI_URL"):
        load({"url": url}, {}, NOWHERE)


def test_an_address_is_needed() -> None:
    with pytest.raises(SettingsError, match="NANNYAPI_URL is not set"):
        load({}, {}, NOWHERE)


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_a_slip_in_any_variable_is_named_with_the_nearest(row: object) -> None:
    env: str = row.env  # type: ignore[attr-defined]
    if env.startswith("NANNY_AGENT_"):
        with pytest.raises(SettingsError, match=f"did you mean '{env}'"):
            load({}, {**URL, env + "X": "1"}, NOWHERE)


def test_a_slip_in_a_key_is_named_with_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("metric_interval = 10\n")
    with pytest.raises(SettingsError, match="did you mean 'metrics_interval'"):
        load({}, URL, file)


def test_nothing_like_it_is_said_without_a_guess() -> None:
    assert nearest("zzzz", ["metrics_interval"]) == "."


@pytest.mark.parametrize("value", ["0", "-5", "abc", "3.5", "9999999", "", " "])
def test_a_bad_interval_is_refused_with_its_name(value: str) -> None:
    with pytest.raises(SettingsError, match="NANNY_AGENT_METRICS_INTERVAL"):
        load({"metrics_interval": value}, URL, NOWHERE)


def test_a_boolean_in_the_file_is_no_number(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("metrics_interval = true\n")
    with pytest.raises(SettingsError, match="whole number"):
        load({}, URL, file)


@pytest.mark.parametrize("text", ["url = ", "[tables]\n", "\xff"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"agent\.toml"):
        load({}, URL, file)


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        load({"config": str(tmp_path / "no.toml")}, URL)
    with pytest.raises(SettingsError, match="does not exist"):
        load({}, {**URL, "NANNY_AGENT_CONFIG": str(tmp_path / "no.toml")})


def test_a_secret_comes_from_its_file_and_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("root@pam!nanny=abc\n")
    found = load({"pve_token_file": str(file)}, URL, NOWHERE)
    assert found.pve_token == "root@pam!nanny=abc"
    assert "abc" not in repr(found)


def test_secrets_that_systemd_hands_over_are_taken_where_nothing_else_is_said(tmp_path: Path) -> None:
    for name in ("pve-token", "enrollment-token", "token"):
        (tmp_path / f"nanny-agent.{name}").write_text(f"nsk_{name}\n")
    environ = {**URL, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    found = load({}, environ, NOWHERE)
    assert found.pve_token == "nsk_pve-token"
    assert (enrollment_token(found), static_token(found)) == ("nsk_enrollment-token", "nsk_token")
    assert load({}, {**environ, "NANNY_AGENT_PVE_TOKEN": "mine"}, NOWHERE).pve_token == "mine"
    assert load({}, {**URL, "CREDENTIALS_DIRECTORY": str(tmp_path / "none")}, NOWHERE).pve_token == ""


def test_a_secrets_file_that_cannot_be_read_fails_loudly(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="NANNY_AGENT_PVE_TOKEN_FILE"):
        load({"pve_token_file": str(tmp_path / "none")}, URL, NOWHERE)
    (tmp_path / "empty").touch()
    with pytest.raises(SettingsError, match="empty file"):
        load({"pve_token_file": str(tmp_path / "empty")}, URL, NOWHERE)


def test_a_secret_given_twice_in_one_place_is_refused(tmp_path: Path) -> None:
    environ = {**URL, "NANNY_AGENT_PVE_TOKEN": "a", "NANNY_AGENT_PVE_TOKEN_FILE": str(tmp_path)}
    with pytest.raises(SettingsError, match="both set"):
        load({}, environ, NOWHERE)


def test_a_secret_has_no_flag() -> None:
    assert [row.name for row in SETTINGS if not row.flag] == ["token", "enrollment_token", "pve_token"]
    assert all(row.help.endswith(".") for row in SETTINGS)


def test_every_row_becomes_a_field() -> None:
    fields = set(Settings.__dataclass_fields__)
    assert {row.name for row in SETTINGS} - fields == {"pve_token_file"}


def test_a_fingerprint_may_have_colons() -> None:
    found = load({"pin_sha256": ":".join(["AB"] * 32)}, URL, NOWHERE)
    assert found.pin_sha256 == "ab" * 32
    with pytest.raises(SettingsError, match="64 hex digits"):
        load({"pin_sha256": "abc"}, URL, NOWHERE)


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(SettingsError, match="NANNY_AGENT_LOG_LEVEL"):
        load({"log_level": "loud"}, URL, NOWHERE)


@pytest.mark.parametrize(
    ("host", "expected"), [("localhost", True), ("127.0.0.5", True), ("::1", True), ("1.2.3.4", False), ("x", False)]
)
def test_loopback_is_told_from_the_rest(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_the_enrolment_token_is_read_only_when_it_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "enrol"
    file.write_text("nsk_1\n")
    found = load({"enrollment_token_file": str(file)}, {**URL, "NANNY_AGENT_ENROLLMENT_TOKEN": "nsk_2"}, NOWHERE)
    assert enrollment_token(found) == "nsk_1"
    file.unlink()  # it has served: a daemon that starts later must not need it
    found = load({"enrollment_token_file": str(file)}, URL, NOWHERE)
    with pytest.raises(SettingsError, match="ENROLLMENT_TOKEN_FILE"):
        enrollment_token(found)
    plain = load({}, {**URL, "NANNY_AGENT_ENROLLMENT_TOKEN": "nsk_2"}, NOWHERE)
    assert enrollment_token(plain) == "nsk_2"
    assert "nsk_2" not in repr(plain)


def test_the_static_token_is_read_again_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("nsk_1\n")
    found = load({"token_file": str(file)}, {**URL, "NANNY_AGENT_TOKEN": "nsk_9"}, NOWHERE)
    assert static_token(found) == "nsk_1"
    file.write_text("nsk_2\n")
    assert static_token(found) == "nsk_2"
    assert static_token(load({}, {**URL, "NANNY_AGENT_TOKEN": "nsk_9"}, NOWHERE)) == "nsk_9"
    assert static_token(load({}, URL, NOWHERE)) == ""
    file.write_text("nop_1\n")
    with pytest.raises(SettingsError, match="TOKEN_FILE"):
        static_token(found)
