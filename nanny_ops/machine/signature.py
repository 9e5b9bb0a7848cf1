"""Check an Ed25519 signature with OpenSSL's own program.

OpenSSL 3 is on every Proxmox VE node and on Debian from 12 on. A child process of some milliseconds costs the daemon
nothing, while a library for it would stay in its memory for good; and nobody writes cryptography of their own here.
"""

import tempfile
from pathlib import Path

from nanny_ops.errors import MachineError
from nanny_ops.machine.run import Done, run
from nanny_ops.machine.verbs import SignatureCheck, VerifySignature
from nanny_ops.protocol.signature import KEY_SIZE, SIGNATURE_SIZE, encode

PROGRAM = "openssl"
#: Seconds for one check, and bytes of its words that are read.
DEADLINE, CAP = 20.0, 4096
#: Only what the system installed is asked, and it speaks English.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
GOOD, BAD = b"Signature Verified Successfully", b"Signature Verification Failure"
#: What stands before the 32 bytes of an Ed25519 key in its X.509 form (RFC 8410, section 4).
_PREFIX = bytes.fromhex("302a300506032b6570032100")


def verify(verb: VerifySignature, program: str = PROGRAM) -> SignatureCheck:
    """Tell whether the key signed the message. Raises MachineError where that cannot be found out here."""
    if len(verb.public_key) != KEY_SIZE or len(verb.signature) != SIGNATURE_SIZE:
        return SignatureCheck(valid=False)
    try:
        with tempfile.TemporaryDirectory(prefix="nanny-signature-") as directory:
            done = run(_argv(program, Path(directory), verb), timeout=DEADLINE, env=ENVIRONMENT, cap=CAP)
    except OSError as wrong:
        raise MachineError(f"A signature cannot be checked: {wrong}") from wrong
    return SignatureCheck(valid=_verdict(done))


def _argv(program: str, directory: Path, verb: VerifySignature) -> list[str]:
    """Lay down key, message and signature; OpenSSL 3.0 reads no message from a pipe here."""
    key, message, signature = (directory / name for name in ("key", "message", "signature"))
    text = encode(_PREFIX + verb.public_key)
    key.write_text(f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    message.write_bytes(verb.message)
    signature.write_bytes(verb.signature)
    named = ["-inkey", str(key), "-in", str(message), "-sigfile", str(signature)]
    return [program, "pkeyutl", "-verify", "-pubin", "-rawin", *named]


def _verdict(done: Done) -> bool:
    """Believe only one of the two sentences together with its exit code."""
    if done.exit_code == 0 and GOOD in done.stdout:
        return True
    if done.exit_code == 1 and BAD in done.stdout + done.stderr:
        return False
    said = (done.stderr or done.stdout).decode(errors="replace").strip()[:300]
    raise MachineError(f"OpenSSL cannot check a signature here (OpenSSL 3 is needed): exit {done.exit_code}, {said!r}.")
