"""Which keys count as root: what root wrote, and what those keys vouch for; nothing that the daemon makes up."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nanny_ops.errors import SettingsError, VerbRefused
from nanny_ops.helper.keyring import Keyring
from nanny_ops.machine.endorsement import first
from nanny_ops.machine.pinned_keys import PinnedKeys
from nanny_ops.machine.policy import Policy
from nanny_ops.protocol.signature import Endorsement, SigningKey, encode, key_id, key_message

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD, NEW = (Ed25519PrivateKey.from_private_bytes(letter * 32) for letter in (b"o", b"n"))


def told(key: Ed25519PrivateKey, by: Ed25519PrivateKey | None = None, *, retired: bool = False) -> SigningKey:
    raw = key.public_key().public_bytes_raw()
    words = []
    if by is not None:
        name = key_id(by.public_key().public_bytes_raw())
        words = [Endorsement(key_id=name, signature=encode(by.sign(key_message(raw, "offline"))))]
    return SigningKey(key_id=key_id(raw), public_key=encode(raw), origin="offline", retired=retired, endorsements=words)


@pytest.fixture
def pinned(tmp_path: Path) -> PinnedKeys:
    """What root has registered."""
    made = PinnedKeys(tmp_path / "state" / "trusted_keys.json")
    made.save(first([told(OLD)], "enrolment", NOON))
    return made


@pytest.fixture
def keyring(tmp_path: Path, pinned: PinnedKeys) -> Keyring:
    return Keyring(tmp_path / "trusted-keys", pinned.path, lambda: NOON)


def names(*keys: Ed25519PrivateKey) -> set[str]:
    return {told(key).key_id for key in keys}


def test_a_key_comes_by_the_word_of_one_that_counts(keyring: Keyring) -> None:
    assert set(keyring.trusted(Policy())) == names(OLD)
    assert set(keyring.learn([told(NEW, OLD)], Policy())) == names(OLD, NEW)
    assert set(keyring.trusted(Policy())) == names(OLD, NEW)


@pytest.mark.parametrize(
    "forged",
    [
        told(NEW),
        told(NEW, NEW),
        SigningKey(**{**vars(told(NEW, OLD)), "origin": "control-plane"}),
        SigningKey(**{**vars(told(NEW, OLD)), "key_id": told(OLD).key_id}),
        SigningKey(**{**vars(told(NEW, OLD)), "public_key": "x"}),
        SigningKey(
            **{**vars(told(NEW)), "endorsements": [Endorsement(key_id=told(OLD).key_id, signature=encode(bytes(64)))]}
        ),
    ],
    ids=["no word", "its own word", "a word for another origin", "another's name", "no key", "a forged word"],
)
def test_the_daemon_adds_no_key(keyring: Keyring, pinned: PinnedKeys, forged: SigningKey) -> None:
    before = pinned.path.read_bytes()
    assert set(keyring.learn([forged], Policy())) == names(OLD)
    assert pinned.path.read_bytes() == before


def test_a_retired_key_never_comes_back(keyring: Keyring) -> None:
    keyring.learn([told(NEW, OLD)], Policy())
    assert set(keyring.learn([told(OLD, retired=True)], Policy())) == names(NEW)
    assert set(keyring.learn([told(OLD, NEW)], Policy())) == names(NEW)


def test_the_owners_file_alone_counts_where_it_is_there(keyring: Keyring, pinned: PinnedKeys, tmp_path: Path) -> None:
    (tmp_path / "trusted-keys").write_text(told(NEW).public_key + "\n")
    assert set(keyring.learn([told(NEW, OLD)], Policy())) == names(NEW)
    assert keyring.source == "file"
    assert [key.key_id for key in pinned.load() or []] == list(names(OLD))


def test_where_nothing_was_named_nothing_is_learned(keyring: Keyring, pinned: PinnedKeys) -> None:
    pinned.forget()
    for ask in (lambda: keyring.trusted(Policy()), lambda: keyring.learn([told(NEW, OLD)], Policy())):
        with pytest.raises(VerbRefused, match="not registered by root") as found:
            ask()
        assert found.value.details["outcome"] == "signature_missing"
    assert not pinned.path.exists()


def test_what_others_may_change_is_not_believed(keyring: Keyring, pinned: PinnedKeys) -> None:
    pinned.path.chmod(0o666)
    with pytest.raises(SettingsError, match="changed by others"):
        keyring.trusted(Policy())
    pinned.path.chmod(0o600)
    pinned.path.write_text("[")
    with pytest.raises(SettingsError, match="cannot be read"):
        keyring.learn([told(NEW, OLD)], Policy())


def test_a_flood_of_keys_is_refused(keyring: Keyring) -> None:
    with pytest.raises(VerbRefused, match="65 keys"):
        keyring.learn([told(NEW)] * 65, Policy())
