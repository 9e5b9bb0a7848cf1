"""The keys whose signatures count as root: the owner's file, or else what was pinned at registration and learned since.

Only root writes either. What the daemon hands over is taken by the word of keys that count already, and by no other; a
key that is told to be retired goes without one, since that only narrows what may run.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from nanny_ops.errors import MachineError, NannyError, SettingsError, TrustedKeysBroken, ValidationFailed, VerbRefused
from nanny_ops.helper import owned
from nanny_ops.machine import endorsement, signature
from nanny_ops.machine.pinned_keys import PinnedKeys
from nanny_ops.machine.policy import Policy
from nanny_ops.machine.trusted_keys import TrustedKey, read_local, usable
from nanny_ops.machine.verbs import SignatureCheck, VerifySignature
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.signature import MOST_KEYS, SIGNATURE_SIZE, SigningKey, decode

log = logging.getLogger(__name__)
#: Where the keys that count stand.
FILE, REGISTRATION, NOWHERE = "file", "registration", "nowhere"

Verify = Callable[[VerifySignature], SignatureCheck]


class Keyring:
    """Knows where keys stand; files are read anew each time, so that what the owner writes holds at once."""

    def __init__(
        self, owners_file: Path, pinned_file: Path, now: Callable[[], datetime], verify: Verify = signature.verify
    ) -> None:
        """Name the owner's file and the one that registration writes."""
        self._owners_file, self._pinned, self._now, self._verify = owners_file, PinnedKeys(pinned_file), now, verify
        self._lock = threading.Lock()

    @property
    def source(self) -> str:
        """Return where the keys that count stand."""
        if self._owners_file.exists():
            return FILE
        return REGISTRATION if self._pinned.path.exists() else NOWHERE

    def trusted(self, policy: Policy) -> dict[str, TrustedKey]:
        """Return the keys that count, by name. Raises SettingsError, and VerbRefused where none was ever named."""
        if self.source == NOWHERE:
            raise VerbRefused(
                f"{self._owners_file} names no keys and this machine was not registered by root, "
                "and without a signature nothing is begun as root.",
                outcome=Outcome.SIGNATURE_MISSING.value,
            )
        if self.source == FILE:
            owned.demand(self._owners_file)
            return usable(read_local(str(self._owners_file)) or [], policy)
        return usable(self._read(), policy)

    def learn(self, told: Sequence[SigningKey], policy: Policy) -> dict[str, TrustedKey]:
        """Take what was told as far as trusted keys vouch for it, and return what counts then.

        Raises SettingsError, MachineError, and VerbRefused where no key could vouch.
        """
        if len(told) > MOST_KEYS:
            raise VerbRefused(f"{len(told)} keys are more than a team may have.")
        if self.source == REGISTRATION:
            with self._lock:
                self._extend(told, policy)
        return self.trusted(policy)

    def _extend(self, told: Sequence[SigningKey], policy: Policy) -> None:
        known = self._read()
        rules = endorsement.learn(known, told, policy, self._now())
        try:
            word = next(rules)
            while True:
                word = rules.send(self._holds(word))
        except StopIteration as end:
            learned: list[TrustedKey] = end.value
        except ValidationFailed as wrong:
            raise VerbRefused(wrong.message) from wrong
        if learned != known:
            self._pinned.save(learned)
            log.warning("event=keys_changed trusted=%s", ",".join(usable(learned, policy)))

    def _holds(self, word: endorsement.Word) -> bool:
        try:
            made = decode(word.signature, SIGNATURE_SIZE, "signature")
            verb = VerifySignature(public_key=word.key.raw, message=word.message, signature=made)
            return self._verify(verb).valid
        except (MachineError, ValidationFailed) as wrong:
            return _doubted(word, wrong)

    def _read(self) -> list[TrustedKey]:
        owned.demand(self._pinned.path)
        try:
            return self._pinned.load() or []
        except TrustedKeysBroken as wrong:
            raise SettingsError(wrong.message) from wrong


def _doubted(word: endorsement.Word, wrong: NannyError) -> bool:
    log.warning("event=endorsement_unchecked key=%s reason=%r", word.key.key_id, wrong.message)
    return False
