"""Keys that people keep: as made here, by OpenSSL, raw, locked; and what is no such key."""

import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from nanny_ops.cli.offline_key import load, make, read_public
from nanny_ops.control.services.signing import Signer
from nanny_ops.errors import SettingsError
from nanny_ops.protocol.signature import decode, key_id


def never() -> str:
    raise AssertionError("nobody is asked for a pass phrase")


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, timeout=20, capture_output=True)


def assert_signs(key: Signer) -> None:
    raw = decode(key.public_key, 32, "public_key")
    Ed25519PublicKey.from_public_bytes(raw).verify(decode(key.sign(b"this"), 64, "signature"), b"this")
    assert key.key_id == key_id(raw)


def test_a_key_is_made_for_its_owner_only_and_never_over_another(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    made = make(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert_signs(made)
    assert load(file, never).key_id == made.key_id
    assert read_public(str(tmp_path / "key.pem.pub")) == read_public(made.public_key) == made.public_key
    before = file.read_bytes()
    with pytest.raises(SettingsError, match="cannot be written"):
        make(file)
    assert file.read_bytes() == before


def test_a_raw_key_is_read(tmp_path: Path) -> None:
    file = tmp_path / "raw"
    file.write_bytes(bytes(range(32)))
    assert_signs(load(file, never))


def test_openssls_keys_are_read_also_locked(tmp_path: Path) -> None:
    plain, locked, public = tmp_path / "a.pem", tmp_path / "b.pem", tmp_path / "a.pub.pem"
    openssl("genpkey", "-algorithm", "ed25519", "-out", plain)
    openssl("pkey", "-in", plain, "-pubout", "-out", public)
    openssl("pkey", "-in", plain, "-aes256", "-passout", "pass:open sesame", "-out", locked)
    key = load(plain, never)
    assert read_public(str(public)) == key.public_key
    assert load(locked, lambda: "open sesame").key_id == key.key_id
    with pytest.raises(SettingsError):
        load(locked, lambda: "open barley")


def test_what_is_no_key_is_said(tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    openssl("genpkey", "-algorithm", "X25519", "-out", other)
    (tmp_path / "text").write_text("no key")
    (tmp_path / "half.pub").write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n")
    for file in (other, tmp_path / "text", tmp_path / "none"):
        with pytest.raises(SettingsError):
            load(file, never)
    for given in (str(other), str(tmp_path / "text"), str(tmp_path / "half.pub"), "A" * 43 + "é", "A" * 42 + "B="):
        with pytest.raises(SettingsError):
            read_public(given)
