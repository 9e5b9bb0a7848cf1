"""Where the command line's token is kept: the environment first, else a file that only its owner may read."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from nanny_ops.cli.client import Client
from nanny_ops.errors import SettingsError

#: Used where nothing else is said.
DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Credential:
    """A control plane, and the token of a person there."""

    url: str
    token: str


def file(environ: Mapping[str, str]) -> Path:
    """Return where ``nanny-ops login`` keeps its token."""
    base = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "/")) / ".config"
    return Path(base) / "nanny-ops" / "login.json"


def store(environ: Mapping[str, str], credential: Credential) -> Path:
    """Write the token file, mode 0600, whole or not at all; return its path."""
    path = file(environ)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".login.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(asdict(credential), out)
    fresh.replace(path)
    return path


def find(environ: Mapping[str, str]) -> Credential:
    """Return NANNY_URL and NANNY_TOKEN where they are set, else what is in the file. Raises SettingsError."""
    url, token = environ.get("NANNY_URL", ""), environ.get("NANNY_TOKEN", "")
    if token:
        return Credential(url or DEFAULT_URL, token)
    kept = _kept(file(environ))
    if kept is None or (url and url.rstrip("/") != kept.url.rstrip("/")):
        raise SettingsError("Nobody is signed in; type 'nanny-ops login', or set NANNY_URL and NANNY_TOKEN.")
    return kept


def connect() -> Client:
    """Return a client for the person who is signed in; close it after use. Raises SettingsError."""
    credential = find(os.environ)
    return Client(credential.url, credential.token)


def _kept(path: Path) -> Credential | None:
    try:
        values = json.loads(path.read_text())
        return Credential(str(values["url"]), str(values["token"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as wrong:
        raise SettingsError(f"{path} cannot be read; type 'nanny-ops login' to write it anew.") from wrong
