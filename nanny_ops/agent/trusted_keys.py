"""The keys this machine trusts: pinned in the state directory, or written down by its owner in a file of their own."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from nanny_ops.agent import kept_file
from nanny_ops.errors import SettingsError, SpoolError, TrustedKeysBroken, ValidationFailed
from nanny_ops.protocol.signature import KEY_SIZE, MOST_KEYS, Origin, decode, key_id

#: The file of pinned keys in the state directory.
NAME = "trusted_keys.json"
#: The owner's file where no setting names another one.
LOCAL = Path("/etc/nanny-ops/trusted-keys")
#: Bytes of either file, at most.
CAP = 256 * 1024
How = Literal["enrolment", "first-refresh", "endorsement", "file"]


@dataclass(frozen=True, kw_only=True)
class TrustedKey:
    """A key, in base64, and why it is trusted; ``since`` as on the wire."""

    key_id: str
    public_key: str
    origin: Origin
    how: How
    since: str = ""
    #: The keys that vouched for it, where it came by endorsement.
    vouched_by: list[str] = field(default_factory=list)
    #: A retired key stays here, so that it is never taken again.
    retired: bool = False

    @property
    def raw(self) -> bytes:
        """Return the 32 bytes."""
        return decode(self.public_key, KEY_SIZE, "public_key")


class PinnedKeys:
    """The file of pinned keys: mode 0600, replaced atomically, on disk before it is used."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is read yet."""
        self.path = path

    def load(self) -> list[TrustedKey] | None:
        """Return what is pinned, None where nothing ever was. Raises TrustedKeysBroken."""
        try:
            with self.path.open("rb") as file:
                found = msgspec.json.decode(file.read(CAP), type=list[TrustedKey])
            if any(key.key_id != key_id(key.raw) for key in found):
                raise ValueError("a key does not fit its name")  # noqa: TRY301  all that is wrong ends in one error
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ValidationFailed) as wrong:  # msgspec's errors are ValueErrors
            raise TrustedKeysBroken(
                f"{self.path} cannot be read ({wrong}); run 'nanny-agent register --force'."
            ) from wrong
        return found

    def save(self, keys: list[TrustedKey]) -> None:
        """Replace the file. Raises SpoolError where the disk does not take it."""
        content = msgspec.json.format(msgspec.json.encode(keys), indent=2) + b"\n"
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept_file.replace(self.path, content)
        except OSError as wrong:
            raise SpoolError(f"{self.path} cannot be written: {wrong.strerror}.") from wrong

    def forget(self) -> None:
        """Remove the file, as before a first enrolment. Raises SpoolError."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as wrong:
            raise SpoolError(f"{self.path} cannot be removed: {wrong.strerror}.") from wrong


def read_local(named: str, default: Path = LOCAL) -> list[TrustedKey] | None:
    """Read the owner's file: a key in base64 per line, then its origin (``offline`` unless said), then anything.

    None where no file is named and the default one is not there. Raises SettingsError.
    """
    path = Path(named) if named else default
    if not named and not path.exists():
        return None
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o022:
                raise SettingsError(f"{path} may be changed by others; run 'chmod go-w {path}'.")
            text = file.read(CAP).decode()
    except (OSError, ValueError) as wrong:
        raise SettingsError(f"The file of trusted keys {path} cannot be read: {wrong}") from wrong
    lines = [(number, words) for number, line in enumerate(text.splitlines(), 1) if (words := _words(line))]
    if len(lines) > MOST_KEYS:
        raise SettingsError(f"{path} holds more than {MOST_KEYS} keys.")
    return list({key.key_id: key for key in (_key(path, number, words) for number, words in lines)}.values())


def _words(line: str) -> list[str]:
    return line.partition("#")[0].split()


def _key(path: Path, number: int, words: list[str]) -> TrustedKey:
    try:
        raw = decode(words[0], KEY_SIZE, "public_key")
    except ValidationFailed as wrong:
        raise SettingsError(f"{path}, line {number}: not an Ed25519 public key in base64.") from wrong
    said = words[1] if len(words) > 1 else "offline"
    if said not in ("offline", "control-plane"):
        raise SettingsError(f"{path}, line {number}: after the key comes 'offline' or 'control-plane'.")
    origin: Origin = "control-plane" if said == "control-plane" else "offline"
    return TrustedKey(key_id=key_id(raw), public_key=words[0], origin=origin, how="file")
