"""The control plane's own authority and what it signs, believed by TLS as agents use it."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nanny_ops.control.services.certificate import issue, make_authority, matches, names_of, what_is_wrong
from nanny_ops.errors import SettingsError, ValidationFailed

NOW = datetime.now(UTC)
NAMES = ("ops.example.com", "192.0.2.7", "2001:db8::7")


def shake_hands(authority: bytes, chain: Path, name: str) -> None:
    """Run both sides of a handshake in memory."""
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(chain)
    client_side = ssl.create_default_context(cadata=authority.decode())
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT
    client = client_side.wrap_bio(there, here, server_hostname=name)
    server = server_side.wrap_bio(here, there, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue


@pytest.mark.parametrize("name", NAMES)
def test_who_knows_the_authority_believes_the_certificate_for_each_name(tmp_path: Path, name: str) -> None:
    authority = make_authority(NOW)
    made = issue(authority, NAMES, NOW)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(made.key + made.certificate)
    shake_hands(authority.certificate, chain, name)
    with pytest.raises(ssl.SSLCertVerificationError, match="match"):
        shake_hands(authority.certificate, chain, "192.0.2.8")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"unable to get|self-signed|verify failed"):
        shake_hands(make_authority(NOW).certificate, chain, name)
    assert names_of(made.certificate) == list(NAMES)
    assert matches(made)


def test_it_is_replaced_a_month_before_its_end_or_where_something_else_is_wanted() -> None:
    authority, other = make_authority(NOW), make_authority(NOW)
    made = issue(authority, NAMES, NOW)

    def wrong(by: bytes, names: tuple[str, ...], days: int) -> str:
        return what_is_wrong(by, made.certificate, names, NOW + timedelta(days=days))

    assert wrong(authority.certificate, tuple(reversed(NAMES)), 360) == ""
    assert wrong(authority.certificate, NAMES, 380).startswith("it ends on")
    assert wrong(authority.certificate, NAMES[:2], 0) == "it is for other names"
    assert wrong(other.certificate, NAMES, 0) == "another authority has signed it"


@pytest.mark.parametrize("names", [(), ("",), ("two words",), ("https://ops.example.com",)])
def test_what_is_no_name_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValidationFailed):
        issue(make_authority(NOW), names, NOW)


def test_what_is_no_certificate_is_said() -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        names_of(b"nothing")
