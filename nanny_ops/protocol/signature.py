"""Who signed what: Ed25519 signatures of scripts, the keys behind them, and how a trusted key vouches for a new one.

A signature covers a text of its own domain, so that none made for one purpose is good for another. Keys and signatures
travel as standard base64; a key is named by the first 32 hex digits of its SHA-256.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import MaxLen, MinLen

from nanny_ops.errors import ValidationFailed

ALGORITHM = "ed25519"
#: Bytes of a public key and of a signature.
KEY_SIZE, SIGNATURE_SIZE = 32, 64
#: Keys that a team may have, retired ones included; an agent remembers as many.
MOST_KEYS = 64
_SCRIPT, _KEY = "nanny-ops script v1", "nanny-ops signing key v1"
_RELEASE = "nanny-ops agent release v1"
_SCRIPT_ID, _SHA256 = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"), re.compile(r"[0-9a-f]{64}")

#: Whether a key lies on the control plane, or with a person who keeps it elsewhere.
Origin = Literal["control-plane", "offline"]
KeyId = Annotated[str, MinLen(1), MaxLen(64)]
KeyText = Annotated[str, MinLen(44), MaxLen(44)]
SignatureText = Annotated[str, MinLen(88), MaxLen(88)]


@dataclass(frozen=True, kw_only=True)
class Endorsement:
    """A key's word for another one; the signature covers :func:`key_message`."""

    key_id: KeyId
    signature: SignatureText


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A key as agents are told of it, beside their tokens."""

    key_id: str
    public_key: str
    origin: Origin
    #: A retired key is never trusted again.
    retired: bool = False
    endorsements: list[Endorsement] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ScriptSignature:
    """One key's word for one script; the signature covers :func:`script_message`."""

    key_id: KeyId
    signature: SignatureText
    algorithm: Literal["ed25519"] = "ed25519"


@dataclass(frozen=True, kw_only=True)
class ScriptSignatures:
    """The answer to ``GET /api/patches/{script_id}/signature``: the control plane's own signature, then all of them."""

    algorithm: str
    key_id: str
    signature: str
    signatures: list[ScriptSignature]


@dataclass(frozen=True, kw_only=True)
class SigningKeyUpload:
    """A public key whose private half is kept elsewhere."""

    public_key: KeyText
    name: Annotated[str, MinLen(1), MaxLen(255)]
    #: Empty means the first team in which the person is admin.
    team_id: Annotated[str, MaxLen(64)] = ""


@dataclass(frozen=True, kw_only=True)
class SigningKeyEntry:
    """A key as people see it."""

    key_id: str
    public_key: str
    name: str
    origin: Origin
    added_at: str
    added_by: str | None
    retired_at: str | None
    #: The keys that vouch for it.
    endorsed_by: list[str]


def decode(text: str, size: int, what: str) -> bytes:
    """Read base64 of exactly ``size`` bytes, written as it is meant to be. Raises ValidationFailed naming ``what``."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != size or encode(raw) != text:
        raise ValidationFailed(f"{what}: not {size} bytes in base64.", field=what)
    return raw


def encode(raw: bytes) -> str:
    """Write bytes as base64."""
    return base64.b64encode(raw).decode()


def key_id(public_key: bytes) -> str:
    """Return the name of a public key of 32 bytes."""
    return hashlib.sha256(public_key).hexdigest()[:32]


def script_message(script_id: str, sha256: str) -> bytes:
    """Return what is signed for a script: its id and its SHA-256. Raises ValidationFailed where either is malformed."""
    if not _SCRIPT_ID.fullmatch(script_id) or not _SHA256.fullmatch(sha256):
        raise ValidationFailed("The script's id or SHA-256 cannot be signed.", field="script_id")
    return f"{_SCRIPT}\n{script_id}\n{sha256}\n".encode()


def release_message(release_id: str, sha256: str) -> bytes:
    """Return what is signed for a release of the agent: its id and its SHA-256. Raises ValidationFailed."""
    if not _SCRIPT_ID.fullmatch(release_id) or not _SHA256.fullmatch(sha256):
        raise ValidationFailed("The release's id or SHA-256 cannot be signed.", field="release_id")
    return f"{_RELEASE}\n{release_id}\n{sha256}\n".encode()


def key_message(public_key: bytes, origin: Origin) -> bytes:
    """Return what a trusted key signs to vouch for another one: that key, and where it is kept."""
    return f"{_KEY}\n{origin}\n{encode(public_key)}\n".encode()
