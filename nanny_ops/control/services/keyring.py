"""Tokens: made from one secret, so that only what must be remembered is stored."""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import jwt

from nanny_ops.errors import InvalidGrant, SettingsError, TokenExpired, TokenInvalid
from nanny_ops.protocol.enrollment import ACCESS_TOKEN_LIFETIME

ISSUER = "nanny-ops"
Audience = Literal["user", "agent"]
#: Bytes of a secret below which guessing becomes thinkable.
SHORTEST_SECRET = 32


@dataclass(frozen=True)
class Claims:
    """What an access token says."""

    subject: str
    audience: Audience
    jti: str
    #: Seconds since 1970; an opaque token has no instant at which it was issued that matters.
    expires: int
    issued: float = 0.0


@dataclass(frozen=True)
class RefreshClaims:
    """What a refresh token says."""

    family: str
    generation: int


class Keyring:
    """Signs and reads tokens. ``key_id`` changes with the secret and travels as ``kid``."""

    def __init__(self, secret: bytes) -> None:
        """Derive one key per purpose from the secret."""
        self._access = _derive(secret, b"access token")
        self._refresh = _derive(secret, b"refresh token")
        #: Signs the head of the audit's log.
        self.seal = _derive(secret, b"audit head")
        self.key_id = _derive(secret, b"key id").hex()[:12]

    def access_token(self, subject: str, audience: Audience, now: datetime) -> str:
        """Sign an access token that lives an hour."""
        claims = {
            "iss": ISSUER,
            "sub": subject,
            "aud": audience,
            "iat": now.timestamp(),  # finer than a second: a new password ends what was issued before it
            "exp": now + timedelta(seconds=ACCESS_TOKEN_LIFETIME),
            "jti": secrets.token_hex(12),
        }
        return jwt.encode(claims, self._access, algorithm="HS256", headers={"kid": self.key_id})

    def read_access(self, token: str, now: datetime) -> Claims:
        """Check signature, issuer, audience and age. Raises TokenInvalid or TokenExpired."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._access,
                algorithms=["HS256"],
                issuer=ISSUER,
                audience=["user", "agent"],
                # The age is judged below, by the clock that is given.
                options={"require": ["exp", "sub", "aud", "jti"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            raise TokenInvalid from None
        expires = int(claims["exp"])
        if expires <= now.timestamp():
            raise TokenExpired
        return Claims(claims["sub"], claims["aud"], claims["jti"], expires, float(claims.get("iat", 0)))

    def refresh_token(self, family: str, generation: int, salt: str) -> str:
        """Return the one token of a family's generation; asked again it is the same (a lost reply can be repeated)."""
        return f"nrt_{family}.{generation}.{self._mac(family, generation, salt)}"

    def read_refresh(self, token: str) -> RefreshClaims:
        """Take a refresh token apart, not yet believing it. Raises InvalidGrant."""
        head, _, rest = token.partition("nrt_")
        parts = rest.split(".")
        if head or len(parts) != 3 or not parts[1].isascii() or not parts[1].isdigit() or len(parts[1]) > 9:
            raise InvalidGrant("This is not a refresh token of this control plane.")
        return RefreshClaims(parts[0], int(parts[1]))

    def is_genuine(self, token: str, claims: RefreshClaims, salt: str) -> bool:
        """Tell whether this keyring made the token."""
        return hmac.compare_digest(token.encode(), self.refresh_token(claims.family, claims.generation, salt).encode())

    def _mac(self, family: str, generation: int, salt: str) -> str:
        return hmac.new(self._refresh, f"{family}|{generation}|{salt}".encode(), hashlib.sha256).hexdigest()


def digest(token: str) -> str:
    """Return what is stored of an opaque token."""
    return hashlib.sha256(token.encode()).hexdigest()


def load_secret(data_dir: Path, given: str) -> bytes:
    """Return the given secret, or the data directory's own, made on first use with mode 0600."""
    if given:
        if len(given) < SHORTEST_SECRET:
            raise SettingsError(f"Setting 'secret_key' is too short; give at least {SHORTEST_SECRET} characters.")
        return given.encode()
    file = data_dir / "secret.key"
    if not file.exists():
        fresh = data_dir / f".secret.{secrets.token_hex(4)}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_hex(32))
        try:
            os.link(fresh, file)  # fails where another process was first: its key stays
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return file.read_text().strip().encode()


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return hmac.new(secret, purpose, hashlib.sha256).digest()
