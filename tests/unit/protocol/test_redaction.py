"""Secrets in outputs become stars of the same length, however the text is cut; what is none stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.protocol.redaction import Redactor, masked

SECRETS = [
    b"Get:1 https://deploy:hunter2@repo.example.com/debian stable",
    b"password=hunter2",
    b'{"api_key": "hunter2", "a": 1}',
    b"DB_PASSWORD = 'hunter2'",
    b"token: hunter2",
    b"Authorization: Bearer hunter2",
    b"PVEAPIToken=root@pam!x=hunter2",
]


@pytest.mark.parametrize("line", SECRETS)
def test_what_looks_like_a_secret_is_stars(line: bytes) -> None:
    assert masked(line) == line.replace(b"hunter2", b"*******")


def test_our_own_tokens_are_known_by_their_beginning() -> None:
    assert masked(b"use nsk_" + b"a" * 32 + b" now") == b"use " + b"*" * 36 + b" now"


@pytest.mark.parametrize(
    "line",
    [
        b"Setting up libsecret-1-0:amd64 (0.20.5-3) ...",
        b'[{"name":"libpam-passwd:amd64","version":"1"},{"name":"python3-token","version":"2"}]',
        b"Get:1 http://deb.debian.org:80/debian bookworm InRelease [151 kB]",
        b"10:30:11 at user@host",
    ],
)
def test_what_is_none_stays(line: bytes) -> None:
    assert masked(line) == line


@given(st.lists(st.sampled_from([*SECRETS, b"plain", b"x" * 5000]), max_size=6), st.data())
def test_pieces_cut_anywhere_hide_the_same(lines: list[bytes], data: st.DataObject) -> None:
    text = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    redactor, found = Redactor(), b""
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        found += redactor.feed(text[start:end])
    found += redactor.flush()
    assert len(found) == len(text)
    assert b"hunter2" not in found
