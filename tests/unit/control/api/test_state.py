"""The Authorization header, and the address people use."""

from pathlib import Path

import pytest

from nanny_ops.control.api.state import bearer
from nanny_ops.control.app import make_state
from nanny_ops.control.settings import Settings
from nanny_ops.errors import TokenMalformed, TokenMissing


@pytest.mark.rows("G0-AU-09")
def test_the_token_is_taken_from_a_bearer_header() -> None:
    assert bearer("Bearer abc.def") == "abc.def"
    assert bearer("bearer  abc") == "abc"
    with pytest.raises(TokenMissing):
        bearer(None)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "abc", "Bearer a b", "Bearer \u00e4"])
def test_anything_else_is_malformed(header: str) -> None:
    with pytest.raises(TokenMalformed):
        bearer(header)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"host": "::1", "port": 9}, "http://[::1]:9"),
        ({"public_url": "https://ops.example.com/"}, "https://ops.example.com"),
        ({"tls_cert": Path("c"), "tls_key": Path("k")}, "https://127.0.0.1:8000"),
    ],
)
def test_the_public_address(tmp_path: Path, given: dict[str, object], url: str) -> None:
    state = make_state(Settings(data_dir=tmp_path, **given))  # type: ignore[arg-type]
    assert state.public_url == url
    state.database.close()
