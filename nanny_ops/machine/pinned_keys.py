"""The keys that were pinned at registration and learned since, as daemon and helper each keep them for themselves."""

from pathlib import Path

import msgspec

from nanny_ops.errors import SpoolError, TrustedKeysBroken, ValidationFailed
from nanny_ops.machine import kept_file
from nanny_ops.machine.trusted_keys import CAP, TrustedKey
from nanny_ops.protocol.signature import key_id

#: The file of pinned keys in the state directory of either.
NAME = "trusted_keys.json"


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
