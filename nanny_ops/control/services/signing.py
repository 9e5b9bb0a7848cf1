"""The control plane's own Ed25519 key, and how any signature is checked."""

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from nanny_ops.errors import SettingsError
from nanny_ops.protocol.signature import encode, key_id

#: The key's file in the data directory; processes that share one database share it too.
FILE = "signing.key"


class Signer:
    """Signs with one key. The private half never leaves this object."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        """Take the key."""
        self._private = private
        raw = private.public_key().public_bytes_raw()
        self.public_key, self.key_id = encode(raw), key_id(raw)

    def sign(self, message: bytes) -> str:
        """Return the signature of a message, in base64."""
        return encode(self._private.sign(message))


def in_pem(private: Ed25519PrivateKey) -> bytes:
    """Write a private key as PEM, unlocked: its file's mode is what protects it."""
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def is_genuine(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether a key has signed a message."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def load_signer(data_dir: Path) -> Signer:
    """Read the data directory's key, made on first use with mode 0600. Raises SettingsError."""
    file = data_dir / FILE
    if not file.exists():
        _make(file)
    try:
        private = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as wrong:
        raise SettingsError(f"The signing key {file} cannot be read: {wrong}") from wrong
    if not isinstance(private, Ed25519PrivateKey):
        raise SettingsError(f"The signing key {file} is not an Ed25519 key.")
    return Signer(private)


def _make(file: Path) -> None:
    pem = in_pem(Ed25519PrivateKey.generate())
    fresh = file.parent / f".signing.{secrets.token_hex(4)}"
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(pem)
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(fresh, file)  # fails where another process was first: its key stays
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
