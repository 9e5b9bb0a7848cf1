"""Tokens: what is signed is believed, nothing else."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.control.services.keyring import Keyring, RefreshClaims, load_secret
from nanny_ops.errors import InvalidGrant, SettingsError, TokenExpired, TokenInvalid

RING = Keyring(b"k" * 32)


def test_an_access_token_says_who_holds_it() -> None:
    claims = RING.read_access(RING.access_token("agent-1", "agent", datetime.now(UTC)), datetime.now(UTC))
    assert (claims.subject, claims.audience) == ("agent-1", "agent")


@pytest.mark.rows("G0-AU-09")
def test_expired_and_foreign_tokens_are_told_apart() -> None:
    old = RING.access_token("agent-1", "agent", datetime.now(UTC) - timedelta(hours=2))
    with pytest.raises(TokenExpired):
        RING.read_access(old, datetime.now(UTC))
    with pytest.raises(TokenInvalid):
        RING.read_access(Keyring(b"other" * 8).access_token("agent-1", "agent", datetime.now(UTC)), datetime.now(UTC))


def test_an_unsigned_token_is_refused() -> None:
    forged = jwt.encode(
        {"sub": "user-1", "aud": "user", "iss": "nanny-ops", "exp": 2**33, "jti": "x"}, "", algorithm="none"
    )
    with pytest.raises(TokenInvalid):
        RING.read_access(forged, datetime.now(UTC))


@given(st.integers(min_value=1, max_value=10**8), st.text("abcdef0123456789", min_size=1, max_size=32))
def test_refresh_tokens_are_repeatable_and_genuine(generation: int, family: str) -> None:
    token = RING.refresh_token(family, generation, "salt")
    assert token == RING.refresh_token(family, generation, "salt")
    claims = RING.read_refresh(token)
    assert claims == RefreshClaims(family, generation)
    assert RING.is_genuine(token, claims, "salt")
    assert not RING.is_genuine(token, claims, "other")
    assert not RING.is_genuine(token[:-1] + ("0" if token[-1] != "0" else "1"), claims, "salt")


@given(st.text(max_size=200))
def test_any_text_is_either_taken_apart_or_refused(text: str) -> None:
    try:
        claims = RING.read_refresh(text)
    except InvalidGrant:
        return
    assert not RING.is_genuine(text, claims, "salt")


def test_the_secret_is_made_once_with_mode_0600(tmp_path: Path) -> None:
    secret = load_secret(tmp_path, "")
    assert len(secret) == 64
    assert load_secret(tmp_path, "") == secret
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="secret_key"):
        load_secret(tmp_path, "short")
