"""What registering does for the privileged helper: root writes the keys where only root can."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from nanny_ops.agent.settings import Settings, load
from nanny_ops.cli.node_helper import tell_helper
from nanny_ops.machine.pinned_keys import NAME, PinnedKeys
from nanny_ops.protocol.enrollment import TokenAnswer
from nanny_ops.protocol.signature import SigningKey, encode, key_id

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RAW = b"k" * 32
KEY = SigningKey(key_id=key_id(RAW), public_key=encode(RAW), origin="control-plane")


def settings(folder: Path) -> Settings:
    return load({"url": "http://127.0.0.1:9"}, {}, folder / "none")


def told(folder: Path, *keys: SigningKey) -> str:
    config = folder / "helper.toml"
    config.write_text(f"state_dir = '{folder}/helper'\ntrusted_keys_file = '{folder}/trusted-keys'\n")
    config.chmod(0o600)
    answer = TokenAnswer(
        access_token="a", refresh_token="r", token_type="Bearer", expires_in=60, agent_id="agent-1",
        signing_keys=list(keys),
    )  # fmt: skip
    found = tell_helper(replace(settings(folder), helper_socket="/run/s"), str(config), answer, NOON)
    return "".join(found)


def test_the_keys_are_pinned_for_the_helper(tmp_path: Path) -> None:
    (tmp_path / "helper").mkdir(mode=0o711)
    assert KEY.key_id in told(tmp_path, KEY)
    file = tmp_path / "helper" / NAME
    assert [key.key_id for key in PinnedKeys(file).load() or []] == [KEY.key_id]
    assert file.stat().st_mode & 0o777 == 0o600
    assert "begins nothing" in told(tmp_path)
    assert not file.exists()


def test_the_owners_file_makes_pinning_needless(tmp_path: Path) -> None:
    (tmp_path / "trusted-keys").write_text("")
    assert "trusted-keys" in told(tmp_path, KEY)
    assert not (tmp_path / "helper").exists()


def test_without_a_helper_nothing_is_said(tmp_path: Path) -> None:
    answer = TokenAnswer(access_token="a", refresh_token="r", token_type="Bearer", expires_in=60, agent_id="agent-1")
    assert tell_helper(settings(tmp_path), None, answer, NOON) == []
