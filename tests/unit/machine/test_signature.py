"""OpenSSL's word about a signature is believed only where it is plain."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nanny_ops.errors import MachineError, ProgramMissing
from nanny_ops.machine.perform import perform
from nanny_ops.machine.signature import verify
from nanny_ops.machine.verbs import SignatureCheck, VerifySignature

#: RFC 8032, section 7.1, test 3.
KEY = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
MESSAGE = bytes.fromhex("af82")
SIGNATURE = bytes.fromhex(
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)


def ask(**changed: bytes) -> SignatureCheck:
    given = {"public_key": KEY, "message": MESSAGE, "signature": SIGNATURE, **changed}
    return verify(VerifySignature(**given))


def test_the_published_signature_is_good(tmp_path: Path) -> None:
    verb = VerifySignature(public_key=KEY, message=MESSAGE, signature=SIGNATURE)
    assert perform(verb, jobs_dir=tmp_path) == SignatureCheck(valid=True)


@pytest.mark.parametrize(
    "changed",
    [
        {"message": b"\xaf\x83"},
        {"message": MESSAGE + b"\n"},
        {"signature": SIGNATURE[:-1] + b"\x0b"},
        {"signature": bytes(64)},
        {"signature": b"\xff" * 64},
        {"signature": SIGNATURE[:-1]},
        {"signature": SIGNATURE + b"\0"},
        {"public_key": KEY[:-1]},
        {"public_key": Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()},
    ],
)
def test_any_change_makes_it_bad(changed: dict[str, bytes]) -> None:
    assert ask(**changed) == SignatureCheck(valid=False)


def test_both_libraries_agree() -> None:
    private = Ed25519PrivateKey.generate()
    key, message = private.public_key().public_bytes_raw(), b"nanny-ops script v1\napt\n" + b"a" * 64 + b"\n"
    assert ask(public_key=key, message=message, signature=private.sign(message)).valid


def program(directory: Path, body: str) -> str:
    file = directory / "openssl"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


@pytest.mark.parametrize(
    "body",
    [
        "exit 0",
        "echo 'Signature Verified Successfully'; exit 1",
        "echo 'Signature Verification Failure'; exit 0",
        "echo 'pkeyutl: Unrecognized flag rawin' >&2; exit 1",
    ],
)
def test_a_program_that_says_anything_else_is_not_believed(tmp_path: Path, body: str) -> None:
    verb = VerifySignature(public_key=KEY, message=MESSAGE, signature=SIGNATURE)
    with pytest.raises(MachineError, match="OpenSSL 3 is needed"):
        verify(verb, program(tmp_path, body))


def test_a_machine_without_openssl_says_so(tmp_path: Path) -> None:
    verb = VerifySignature(public_key=KEY, message=MESSAGE, signature=SIGNATURE)
    with pytest.raises(ProgramMissing):
        verify(verb, str(tmp_path / "none"))
