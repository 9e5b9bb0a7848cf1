"""The control plane of a yard: served on this host with TLS, with an administrator and a token of theirs."""

import contextlib
import os
import secrets
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import trustme

from nanny_ops.lab.child import Child, nursery

EMAIL = "admin@example.com"
#: What the token of a yard may do: everything that the collection asks for.
SCOPES = ("read", "patch", "enrol", "admin")
#: Seconds for each step; on idle cores they are two.
PATIENCE = 120.0
#: By which machines know this host.
HOST_NAME = "host"


@dataclass(frozen=True)
class YardPlane:
    """A control plane that serves: its address, the authority's certificate, files with the token and the password."""

    url: str
    ca_file: Path
    token_file: Path
    password_file: Path
    child: Child


@contextlib.contextmanager
def yard_plane(home: Path, address: str) -> Iterator[YardPlane]:
    """Serve on an address of this host until the block ends; everything it writes lies in ``home``.

    Raises MachineError, httpx.HTTPError.
    """
    home.mkdir(mode=0o700)
    ca_file = _certify(home, address)
    program = str(Path(sys.executable).parent / "nanny-ops")
    environ = {**_clean(), "NANNY_DATA_DIR": str(home / "data"), "NANNY_RATE_LIMITS": "off"}
    with nursery(home) as children:
        password_file = _secret(home / "password", secrets.token_urlsafe(12))
        add = [program, "user", "add", "--email", EMAIL, "--role", "admin", "--password-stdin"]
        made = children.start("user-add", add, environ, password_file)
        made.await_end(PATIENCE)
        children.forget(made)
        serve = [program, "serve", "--host", address, "--port", "0", "--tls-cert", str(home / "tls.pem")]
        # A supervisor that is killed cannot end it.
        mortal = ["setpriv", "--pdeathsig=TERM", *serve, "--tls-key", str(home / "tls.key")]
        child = children.start("control-plane", mortal, environ)
        port = int(child.await_words("nanny-ops listens on", PATIENCE).split()[-1])
        child.await_words("ready", PATIENCE)
        url = f"https://{address}:{port}"
        token_file = _secret(home / "token", _token(url, ca_file, password_file.read_text().strip()))
        yield YardPlane(url, ca_file, token_file, password_file, child)


def _certify(home: Path, address: str) -> Path:
    """Write a certificate for an address and for the name that machines know; return the authority's file."""
    authority = trustme.CA()
    own = authority.issue_cert(address, HOST_NAME)
    own.cert_chain_pems[0].write_to_path(home / "tls.pem")
    _secret(home / "tls.key", own.private_key_pem.bytes().decode().strip())
    authority.cert_pem.write_to_path(home / "ca.pem")
    return home / "ca.pem"


def _token(url: str, ca_file: Path, password: str) -> str:
    """Return the secret of a token that the administrator makes."""
    verify = ssl.create_default_context(cafile=str(ca_file))
    with httpx.Client(base_url=url, verify=verify, timeout=30) as http:
        told = http.post("/api/auth/login", json={"email": EMAIL, "password": password}).raise_for_status().json()
        headers = {"Authorization": f"Bearer {told['access_token']}"}
        asked = {"name": "yard", "scopes": list(SCOPES)}
        made = http.post("/api/tokens", json=asked, headers=headers).raise_for_status().json()
    secret: str = made["token"]
    return secret


def _secret(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(f"{text}\n")
    return path


def _clean() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("NANNY_", "NANNYAPI_"))}
