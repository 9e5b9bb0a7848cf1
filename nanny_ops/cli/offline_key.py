"""A person's own Ed25519 key: made, read and used on their machine; only signatures leave it."""

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from nanny_ops.control.services.signing import Signer, in_pem
from nanny_ops.errors import SettingsError, ValidationFailed
from nanny_ops.protocol.signature import KEY_SIZE, decode, encode

PUBLIC_SUFFIX = ".pub"
#: Bytes of a key's file, at most.
CAP = 16 * 1024


def make(file: Path) -> Signer:
    """Make a key: the private half in ``file`` (PEM, mode 0600), the public one beside it. Raises SettingsError."""
    private = Ed25519PrivateKey.generate()
    key = Signer(private)
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(in_pem(private))
        file.with_name(file.name + PUBLIC_SUFFIX).write_text(f"{key.public_key}\n")
    except OSError as wrong:
        raise SettingsError(f"{file} cannot be written: {wrong.strerror}.") from wrong
    return key


def load(file: Path, ask: Callable[[], str]) -> Signer:
    """Read a private key in PEM, or its 32 raw bytes; ``ask`` is for the pass phrase of a locked one.

    Raises SettingsError.
    """
    content = _read(file)
    if len(content) == KEY_SIZE:
        return Signer(Ed25519PrivateKey.from_private_bytes(content))
    try:
        phrase = ask().encode() if b"ENCRYPTED" in content else None
        private = load_pem_private_key(content, phrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as wrong:
        raise SettingsError(
            f"{file} holds no private key in PEM that can be read, or the pass phrase is another; "
            "make a key with 'nanny-ops script keygen --out FILE'."
        ) from wrong
    if not isinstance(private, Ed25519PrivateKey):
        raise SettingsError(f"{file} is not an Ed25519 key; make one with 'nanny-ops script keygen --out FILE'.")
    return Signer(private)


def read_public(given: str) -> str:
    """Return a public key in base64, given as such, or as a file with base64 or PEM in it. Raises SettingsError."""
    text = given.strip()
    if len(text) != 44 or not text.endswith("="):
        text = _read(Path(given)).decode("utf-8", "replace").strip()
    if text.startswith("-----BEGIN PUBLIC KEY-----"):
        try:
            public = load_pem_public_key(text.encode())
        except (ValueError, UnsupportedAlgorithm) as wrong:
            raise SettingsError(f"{given} is not a public key that can be read: {wrong}") from wrong
        text = encode(public.public_bytes_raw()) if isinstance(public, Ed25519PublicKey) else ""
    try:
        return encode(decode(text, KEY_SIZE, "public_key"))
    except ValidationFailed as wrong:
        raise SettingsError(f"{given} holds no Ed25519 public key, in base64 or PEM.") from wrong


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(CAP)
    except OSError as wrong:
        raise SettingsError(f"{file} cannot be read: {wrong.strerror}.") from wrong
