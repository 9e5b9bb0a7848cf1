"""The control plane's own key: made once, kept to itself, and any signature is checked with it or another."""

import stat
import subprocess
from pathlib import Path

import pytest

from nanny_ops.control.services.signing import FILE, is_genuine, load_signer
from nanny_ops.errors import SettingsError
from nanny_ops.protocol.signature import decode, key_id


def test_the_key_is_made_once_and_is_nobody_elses(tmp_path: Path) -> None:
    first, second = load_signer(tmp_path), load_signer(tmp_path)
    assert (first.key_id, first.public_key) == (second.key_id, second.public_key)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
    assert first.key_id == key_id(decode(first.public_key, 32, "public_key"))


def test_a_signature_is_good_for_its_message_and_key_only(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    signer, other = load_signer(tmp_path), load_signer(tmp_path / "other")
    key, signature = decode(signer.public_key, 32, "key"), decode(signer.sign(b"yes"), 64, "signature")
    assert is_genuine(key, b"yes", signature)
    assert not is_genuine(key, b"no", signature)
    assert not is_genuine(decode(other.public_key, 32, "key"), b"yes", signature)
    assert not is_genuine(key, b"yes", signature[:-1])
    assert not is_genuine(key[:-1], b"yes", signature)


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_key_is_said_and_never_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(SettingsError, match="signing key"):
        load_signer(tmp_path)
    assert (tmp_path / FILE).read_text() == content


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    make = ["openssl", "genpkey", "-algorithm", "X25519", "-out", tmp_path / FILE]
    subprocess.run(make, check=True, timeout=20, capture_output=True)
    with pytest.raises(SettingsError, match="not an Ed25519"):
        load_signer(tmp_path)
