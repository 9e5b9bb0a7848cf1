"""The files of trusted keys: kept whole and private, read strictly, never taken for empty when they are damaged."""

import stat
from pathlib import Path

import pytest

from nanny_ops.errors import SettingsError, SpoolError, TrustedKeysBroken
from nanny_ops.machine.pinned_keys import PinnedKeys
from nanny_ops.machine.trusted_keys import TrustedKey, read_local
from nanny_ops.protocol.signature import encode, key_id


def key(number: int, **values: object) -> TrustedKey:
    raw = bytes([number]) * 32
    given = {"key_id": key_id(raw), "public_key": encode(raw), "origin": "offline", "how": "enrolment", **values}
    return TrustedKey(**given)  # type: ignore[arg-type]


def test_pinned_keys_are_kept_for_their_owner_only(tmp_path: Path) -> None:
    pinned = PinnedKeys(tmp_path / "state" / "trusted_keys.json")
    assert pinned.load() is None
    kept = [key(1, since="2026-01-31T02:00:00.000Z"), key(2, how="endorsement", vouched_by=["x"], retired=True)]
    pinned.save(kept)
    assert pinned.load() == kept
    assert stat.S_IMODE(pinned.path.stat().st_mode) == 0o600
    assert [file.name for file in pinned.path.parent.iterdir()] == ["trusted_keys.json"]
    pinned.forget()
    pinned.forget()
    assert pinned.load() is None


@pytest.mark.parametrize("text", ["", "{}", "[{}]", "[", "\udcff"])
def test_a_damaged_file_is_not_an_empty_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "trusted_keys.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(TrustedKeysBroken, match="register --force"):
        PinnedKeys(file).load()


def test_a_key_under_a_wrong_name_is_damage(tmp_path: Path) -> None:
    pinned = PinnedKeys(tmp_path / "trusted_keys.json")
    pinned.save([key(1, key_id=key(2).key_id)])
    with pytest.raises(TrustedKeysBroken, match="name"):
        pinned.load()


def test_a_disk_that_takes_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError):
        PinnedKeys(tmp_path / "file" / "trusted_keys.json").save([])


def test_the_owners_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "trusted-keys"
    one, two = key(1), key(2)
    file.write_text(
        f"# ours\n\n{one.public_key}\n{two.public_key} control-plane the machine in the cellar # x\n{one.public_key}\n"
    )
    found = read_local(str(file))
    assert found is not None
    assert [(k.key_id, k.origin, k.how) for k in found] == [
        (one.key_id, "offline", "file"),
        (two.key_id, "control-plane", "file"),
    ]
    assert read_local("", default=file) == found
    assert read_local("", default=tmp_path / "none") is None


def test_an_empty_owners_file_trusts_nobody(tmp_path: Path) -> None:
    file = tmp_path / "trusted-keys"
    file.write_text("# nobody\n")
    assert read_local(str(file)) == []


@pytest.mark.parametrize(
    "text", ["no-key", "A" * 44, key(1).public_key + " elsewhere", (key(1).public_key + "\n") * 65]
)
def test_a_slip_in_the_owners_file_is_an_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "trusted-keys"
    file.write_text(text)
    with pytest.raises(SettingsError, match="trusted-keys"):
        read_local(str(file))


def test_a_file_that_others_may_change_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "trusted-keys"
    file.write_text(key(1).public_key)
    file.chmod(0o666)
    with pytest.raises(SettingsError, match="chmod"):
        read_local(str(file))
    with pytest.raises(SettingsError):
        read_local(str(tmp_path / "none"))
