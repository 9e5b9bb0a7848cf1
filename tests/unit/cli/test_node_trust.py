"""A machine that registered by itself: a person names the keys by which its helper judges."""

from pathlib import Path

import pytest

from nanny_ops.cli.node import main
from nanny_ops.machine.pinned_keys import NAME, PinnedKeys
from nanny_ops.machine.trusted_keys import TrustedKey
from nanny_ops.protocol.signature import encode, key_id


def key(letter: bytes, **more: object) -> TrustedKey:
    raw = letter * 32
    told = {"key_id": key_id(raw), "public_key": encode(raw), "origin": "offline", "how": "first-refresh"}
    return TrustedKey(**told | more)  # type: ignore[arg-type]


FIRST, SECOND, RETIRED = key(b"a"), key(b"b"), key(b"c", retired=True)


def run(folder: Path, *words: str) -> int:
    config = folder / "helper.toml"
    config.write_text(f"state_dir = '{folder}/helper'\ntrusted_keys_file = '{folder}/trusted-keys'\n")
    config.chmod(0o600)
    return main(["trust", *words, "--state-dir", str(folder / "agent"), "--helper-config", str(config)])


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    PinnedKeys(tmp_path / "agent" / NAME).save([FIRST, SECOND, RETIRED])
    return tmp_path


def pinned(machine: Path) -> dict[str, TrustedKey]:
    return {one.key_id: one for one in PinnedKeys(machine / "helper" / NAME).load() or []}


def test_without_a_name_the_keys_are_shown_and_none_is_trusted(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(machine) == 0
    shown = capsys.readouterr().out
    assert {FIRST.key_id, SECOND.key_id} <= set(shown.split())
    assert RETIRED.key_id not in shown
    assert "nanny-ops signing-key list" in shown
    assert not (machine / "helper").exists()


def test_only_named_keys_are_trusted_and_lie_where_the_person_says(machine: Path) -> None:
    assert run(machine, FIRST.key_id) == 0
    assert pinned(machine)[FIRST.key_id].origin == "control-plane"  # whatever the daemon's file says
    assert run(machine, SECOND.key_id, "--offline") == 0
    assert {name: one.origin for name, one in pinned(machine).items()} == {
        FIRST.key_id: "control-plane",
        SECOND.key_id: "offline",
    }
    assert (machine / "helper" / NAME).stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_done_is_said(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(machine, RETIRED.key_id) == 2
    assert run(machine, FIRST.key_id, "nonsense") == 2
    assert "no key 'nonsense'" in capsys.readouterr().err
    assert not (machine / "helper").exists()
    assert main(["trust", "--state-dir", str(machine / "agent")]) == 2
    assert "begins jobs itself" in capsys.readouterr().err
    (machine / "trusted-keys").write_text("")
    assert run(machine, FIRST.key_id) == 0
    assert "by no others" in capsys.readouterr().out
    assert not (machine / "helper").exists()


def test_an_agent_that_was_told_nothing_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path) == 0
    assert "told of no keys yet" in capsys.readouterr().out
