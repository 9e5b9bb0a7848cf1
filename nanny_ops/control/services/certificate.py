"""An authority of the control plane's own, and the certificate that it signs for the control plane's names."""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nanny_ops.errors import SettingsError, ValidationFailed
from nanny_ops.protocol.clock import stamp

#: Agents trust the authority for as long as they live; the certificate is replaced a month before its end.
AUTHORITY_LIFE, LIFE, MARGIN = timedelta(days=3650), timedelta(days=397), timedelta(days=30)
#: Clocks of machines differ.
SKEW = timedelta(hours=1)
#: Of a subject's name (X.520, ub-common-name).
LONGEST_NAME = 64
AUTHORITY_NAME = "nanny-ops authority"


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both in PEM."""

    certificate: bytes
    key: bytes


def make_authority(now: datetime) -> Pair:
    """Return a new authority, which may sign certificates and no further authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    built = (
        _builder(_named(AUTHORITY_NAME), _named(AUTHORITY_NAME), key, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_others=True), critical=True)
    )
    return _pair(built.sign(key, hashes.SHA256()), key)


def issue(authority: Pair, names: Collection[str], now: datetime) -> Pair:
    """Return a certificate for names and addresses that an authority signs. Raises ValidationFailed, SettingsError."""
    signer, issuer = _key_of(authority), x509.load_pem_x509_certificate(authority.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    wanted = [_general(name) for name in names]
    if not wanted:
        raise ValidationFailed("A certificate needs at least one name or address.")
    known_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    built = (
        _builder(_named(next(iter(names))[:LONGEST_NAME]), issuer.subject, key, now, LIFE)
        .add_extension(x509.SubjectAlternativeName(wanted), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_others=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(known_by, critical=False)
    )
    return _pair(built.sign(signer, hashes.SHA256()), key)


def names_of(certificate: bytes) -> list[str]:
    """Return the names and addresses in a certificate, as they were given. Raises SettingsError."""
    try:
        extension = _load(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [str(one.value) for one in extension.value]


def what_is_wrong(authority: bytes, certificate: bytes, names: Collection[str], now: datetime) -> str:
    """Say why a certificate has to be replaced, or nothing. Raises SettingsError for one that cannot be read."""
    loaded = _load(certificate)
    if set(names_of(certificate)) != {str(_general(name).value) for name in names}:
        return "it is for other names"
    if loaded.not_valid_after_utc - now < MARGIN:
        return f"it ends on {loaded.not_valid_after_utc:%Y-%m-%d}"
    try:
        loaded.verify_directly_issued_by(_load(authority))
    except (InvalidSignature, ValueError, TypeError):
        return "another authority has signed it"
    return ""


def describe(certificate: bytes) -> dict[str, object]:
    """Return what people and agents want to know of a certificate: names, end, SHA-256, who signed it."""
    loaded = _load(certificate)
    return {
        "names": names_of(certificate),
        "ends": stamp(loaded.not_valid_after_utc),
        "sha256": loaded.fingerprint(hashes.SHA256()).hex(),
        "signed_by": loaded.issuer.rfc4514_string(),
        "self_signed": loaded.issuer == loaded.subject,
    }


def matches(pair: Pair) -> bool:
    """Tell whether a private key, also of another kind, is that of its certificate. Raises SettingsError."""
    public, theirs = (_readable(pair).public_key(), _load(pair.certificate).public_key())
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public.public_bytes(*form) == theirs.public_bytes(*form)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + life)
        .add_extension(own, critical=False)
    )


def _usage(*, signs_others: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_others,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_others,
        crl_sign=signs_others,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if not name or not name.isascii() or any(sign.isspace() or sign in "/:@" for sign in name):
        raise ValidationFailed(f"'{name}' is neither a host name nor an address.")
    return x509.DNSName(name)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(certificate.public_bytes(Encoding.PEM), pem)


def _load(certificate: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate)
    except ValueError as wrong:
        raise SettingsError(f"A certificate cannot be read: {wrong}") from wrong


def _readable(pair: Pair) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(pair.key, password=None)
    except (ValueError, TypeError) as wrong:
        raise SettingsError(f"A private key cannot be read: {wrong}") from wrong


def _key_of(pair: Pair) -> ec.EllipticCurvePrivateKey:
    key = _readable(pair)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SettingsError("A private key is not one that was made here.")
    return key
