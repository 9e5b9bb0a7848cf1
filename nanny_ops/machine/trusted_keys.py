"""Keys that this machine trusts to sign scripts: the record of one, the owner's file, and whose signatures count."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nanny_ops.errors import SettingsError, ValidationFailed
from nanny_ops.machine.policy import OFFLINE, Policy
from nanny_ops.protocol.signature import KEY_SIZE, MOST_KEYS, Origin, decode, key_id

#: The owner's file where no setting names another one.
LOCAL = Path("/etc/nanny-ops/trusted-keys")
#: Bytes of a file of keys, at most.
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


def usable(keys: Sequence[TrustedKey], policy: Policy) -> dict[str, TrustedKey]:
    """Return the keys whose signatures count, by name.

    Under the policy ``offline`` a key counts only if it lies elsewhere than on the control plane and was there at
    enrolment, is in the owner's file, or was vouched for by enough keys of which the same is true.
    """
    strict = policy.signatures == OFFLINE
    fit = [key for key in keys if not strict or (key.origin == "offline" and key.how != "first-refresh")]
    good = {key.key_id for key in fit if not key.vouched_by}
    while more := {
        key.key_id
        for key in fit
        if key.key_id not in good and len(good.intersection(key.vouched_by)) >= policy.threshold
    }:
        good |= more  # who vouched may be retired since; its word stands
    return {key.key_id: key for key in fit if key.key_id in good and not key.retired}


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
