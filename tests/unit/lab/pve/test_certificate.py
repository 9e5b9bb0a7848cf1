"""The cluster's own certificates."""

import hashlib
import ssl
from pathlib import Path

from cryptography import x509

from nanny_ops.lab.pve.certificate import Authority, describe, fingerprint


def test_files_lie_where_the_cluster_file_system_has_them(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.write()
    _, pem = authority.issue("pve1")
    assert authority.file == tmp_path / "pve-root-ca.pem"
    assert (tmp_path / "nodes/pve1/pve-ssl.pem").read_bytes() == pem
    x509.load_pem_x509_certificate(pem).verify_directly_issued_by(
        x509.load_pem_x509_certificate(authority.file.read_bytes())
    )


def test_the_fingerprint_is_written_as_proxmox_ve_writes_it(tmp_path: Path) -> None:
    pem = Authority(tmp_path).root_pem
    told = fingerprint(pem)
    assert told == told.upper()
    assert bytes.fromhex(told.replace(":", "")) == hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).digest()


def test_a_certificate_is_described(tmp_path: Path) -> None:
    _, pem = Authority(tmp_path).issue("pve1")
    told = describe("pve-ssl.pem", pem)
    assert {"127.0.0.1", "localhost", "pve1"} <= set(told["san"])
    assert told["fingerprint"] == fingerprint(pem)
    assert told["notbefore"] < told["notafter"]
    assert "CN=pve1" in told["subject"]
    assert describe("pve-root-ca.pem", Authority(tmp_path).root_pem)["san"] == []
