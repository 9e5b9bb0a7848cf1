"""The cluster's own certificate authority and one certificate per node, as Proxmox VE makes them."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding


@dataclass(frozen=True)
class Authority:
    """A throw-away authority; its files lie where Proxmox VE keeps them below ``directory``."""

    directory: Path
    _root: trustme.CA = field(
        default_factory=lambda: trustme.CA(organization_name="PVE Cluster Manager CA"), repr=False
    )

    @property
    def file(self) -> Path:
        """Return the file with the authority's certificate."""
        return self.directory / "pve-root-ca.pem"

    @property
    def root_pem(self) -> bytes:
        """Return the authority's certificate."""
        return self._root.cert_pem.bytes()

    def write(self) -> None:
        """Write the authority's certificate."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(self.root_pem)

    def issue(self, node: str, *names: str) -> tuple[ssl.SSLContext, bytes]:
        """Return what a node's server needs, and its certificate in PEM, also written to its directory.

        ``names`` are further names and addresses of the node.
        """
        leaf = self._root.issue_cert("127.0.0.1", "::1", "localhost", node, *names, common_name=node)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(context)
        pem = leaf.cert_chain_pems[0].bytes()
        place = self.directory / "nodes" / node
        place.mkdir(parents=True, exist_ok=True)
        (place / "pve-ssl.pem").write_bytes(pem)
        return context, pem


def fingerprint(pem: bytes) -> str:
    """Return the SHA-256 of a certificate, upper-case hex with colons."""
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex(":").upper()


def describe(filename: str, pem: bytes) -> dict[str, Any]:
    """Return one entry of /nodes/NODE/certificates/info."""
    certificate = x509.load_pem_x509_certificate(pem)
    kind, bits = _key(certificate)
    return {
        "filename": filename,
        "fingerprint": fingerprint(pem),
        "subject": _name(certificate.subject),
        "issuer": _name(certificate.issuer),
        "notbefore": int(certificate.not_valid_before_utc.timestamp()),
        "notafter": int(certificate.not_valid_after_utc.timestamp()),
        "public-key-type": kind,
        "public-key-bits": bits,
        "san": _names(certificate),
        "pem": certificate.public_bytes(Encoding.PEM).decode(),
    }


def _name(name: x509.Name) -> str:
    return "".join(f"/{part.rfc4514_attribute_name}={part.value!s}" for part in name)


def _key(certificate: x509.Certificate) -> tuple[str, int]:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "rsaEncryption", key.key_size
    return "id-ecPublicKey", key.key_size if isinstance(key, ec.EllipticCurvePublicKey) else 0


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]
