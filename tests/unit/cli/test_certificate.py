"""``nanny-ops certificate make``: what it writes, once, and when it writes again."""

import hashlib
import json
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

from nanny_ops.cli.certificate import Shelf, app
from nanny_ops.control.services.certificate import names_of
from nanny_ops.errors import SettingsError
from nanny_ops.protocol.clock import now


def make(place: Path, *words: str) -> Any:
    return CliRunner().invoke(app, ["make", "--directory", str(place), "--group", "root", *words])


def test_the_second_time_there_is_nothing_to_do(tmp_path: Path) -> None:
    place = tmp_path / "tls"
    told = make(place, "--name", "a.example.com", "--dry-run")
    assert "new authority" in told.output
    assert not place.exists()
    assert make(place, "--name", "a.example.com").exit_code == 0
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in place.iterdir()}
    assert modes == {"ca.pem": "0o644", "ca-key.pem": "0o600", "cert.pem": "0o644", "key.pem": "0o640"}
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    for words in (("--name", "a.example.com"), ()):
        assert make(place, *words).output == "Nothing to do.\n"
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def test_the_authority_stays_when_the_certificate_is_made_anew(tmp_path: Path) -> None:
    make(tmp_path, "--name", "a.example.com")
    authority = (tmp_path / "ca.pem").read_bytes()
    assert "for other names" in make(tmp_path, "--name", "b.example.com", "--name", "192.0.2.1").output
    (tmp_path / "key.pem").write_bytes((tmp_path / "ca-key.pem").read_bytes())
    assert "another one's" in make(tmp_path).output
    assert names_of((tmp_path / "cert.pem").read_bytes()) == ["b.example.com", "192.0.2.1"]
    assert (tmp_path / "ca.pem").read_bytes() == authority


def test_an_authority_whose_key_was_taken_away_is_not_replaced_by_another(tmp_path: Path) -> None:
    make(tmp_path, "--name", "a.example.com")
    authority = (tmp_path / "ca.pem").read_bytes()
    (tmp_path / "ca-key.pem").unlink()
    assert "ca-key.pem is missing" in str(make(tmp_path, "--name", "b.example.com").exception)
    assert (tmp_path / "ca.pem").read_bytes() == authority


def test_a_certificate_that_was_given_earlier_is_replaced(tmp_path: Path) -> None:
    make(tmp_path, "--name", "a.example.com")
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a.example.com")])
    given = x509.CertificateBuilder(name, name, key.public_key(), 1, now(), now() + timedelta(days=90))
    given = given.add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example.com")]), critical=False)
    (tmp_path / "cert.pem").write_bytes(given.sign(key, None).public_bytes(Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert "another authority has signed it" in make(tmp_path, "--name", "a.example.com").output
    assert make(tmp_path, "--name", "a.example.com").output == "Nothing to do.\n"


def test_without_a_name_there_is_none_to_make_one_for(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="say --name"):
        Shelf(tmp_path, "root").renew([], now())


def test_it_is_shown_with_what_agents_need(tmp_path: Path) -> None:
    make(tmp_path, "--name", "a.example.com")
    told = json.loads(CliRunner().invoke(app, ["show", "--directory", str(tmp_path), "--json"]).output)
    der = ssl.PEM_cert_to_DER_cert((tmp_path / "cert.pem").read_text())
    assert (told["names"], told["sha256"]) == (["a.example.com"], hashlib.sha256(der).hexdigest())
    assert (told["self_signed"], told["authority"]) == (False, (tmp_path / "ca.pem").read_text())
    missing = CliRunner().invoke(app, ["show", "--directory", str(tmp_path / "none")])
    assert isinstance(missing.exception, SettingsError)
