"""Whether a script is authentic: enough of the keys this machine trusts have signed it."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

from nanny_ops.agent.client import ApiClient
from nanny_ops.agent.hands import Hands
from nanny_ops.agent.order import Refused
from nanny_ops.errors import MachineError, Rejected, SpoolError, TooLarge, TrustedKeysBroken, ValidationFailed
from nanny_ops.machine import endorsement
from nanny_ops.machine.pinned_keys import PinnedKeys
from nanny_ops.machine.policy import OFFLINE, Policy
from nanny_ops.machine.trusted_keys import TrustedKey, usable
from nanny_ops.machine.verbs import KeySignature, VerifySignature
from nanny_ops.protocol.enrollment import AgentIdentity, TokenAnswer
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.signature import (
    MOST_KEYS,
    SIGNATURE_SIZE,
    ScriptSignature,
    ScriptSignatures,
    SigningKey,
    decode,
    release_message,
    script_message,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Thing:
    """A kind of thing that is signed: where its signatures are told, and over which text they are made."""

    noun: str
    done: str
    path: str
    message: Callable[[str, str], bytes]


SCRIPT = Thing("script", "run", "/api/patches", script_message)
RELEASE = Thing("release", "installed", "/api/releases", release_message)


def pin(pinned: PinnedKeys, answer: TokenAnswer, now: datetime) -> None:
    """Trust the keys that came with a new identity and no others. Raises SpoolError."""
    keys = [
        endorsement.pinned(key, "enrolment", now) for key in endorsement.sound(answer.signing_keys) if not key.retired
    ]
    if keys:
        pinned.save(keys)
    else:
        pinned.forget()


@dataclass(kw_only=True)
class Trust:
    """Knows the trusted keys, learns new ones by the word of old ones, and judges scripts."""

    client: ApiClient
    hands: Hands
    policy: Policy
    pinned: PinnedKeys
    #: The owner's file; where it is there, it alone counts.
    local: list[TrustedKey] | None
    now: Callable[[], datetime]
    #: Hands what was told of keys to the privileged helper, which learns for itself; None where there is none.
    teach: Callable[[list[SigningKey]], Awaitable[object]] | None = None
    _taught: list[SigningKey] = field(default_factory=list)
    #: Refreshes the tokens, and with them the keys; asked once where none was ever pinned and scripts are signed.
    refresh: Callable[[], Awaitable[object]] | None = None

    async def check(self, script_id: str, sha256: str, thing: "Thing | None" = None) -> list[KeySignature]:
        """Return the signatures for which the script may run; none where scripts need not be signed.

        ``thing`` is what else is signed, and always must be. Raises Refused with the outcome's word, Unreachable.
        """
        keys, what = self._keys(), thing or SCRIPT
        if keys is None:
            keys = await self._first_sight(what, script_id)
        if keys is None and thing is None and not self.policy.demands_signatures:
            log.warning("event=script_unsigned script=%s reason='the control plane has named no key'", script_id)
            return []
        trusted = usable(keys or [], self.policy)
        if len(trusted) < self.policy.threshold:
            whose = "offline keys" if self.policy.signatures == OFFLINE else "trusted keys"
            sentence = f"A {what.noun} must be signed by {self.policy.threshold} {whose} here, and this machine knows"
            raise Refused(Outcome.SIGNATURE_MISSING, f"{sentence} {len(trusted)}. The {what.noun} was not {what.done}.")
        return await self._count(what, script_id, sha256, trusted, await self._signatures(what, script_id))

    async def learn(self, answer: TokenAnswer | AgentIdentity) -> None:
        """Take from a refresh what may be taken: retired keys go, new ones need the word of trusted ones."""
        await self._tell_helper(answer.signing_keys)
        if self.local is not None:
            return
        try:
            known = self.pinned.load()
            if known is None:
                self._begin(answer)
                return
            kept = await self._learned(known, answer.signing_keys)
            if kept != known:
                self.pinned.save(kept)
                log.warning("event=keys_changed trusted=%s", ",".join(usable(kept, self.policy)))
        except (SpoolError, TrustedKeysBroken) as wrong:
            log.error("event=keys_not_learned reason=%r", wrong.message)

    async def _tell_helper(self, told: list[SigningKey]) -> None:
        """Teach the helper what it was not told yet; where that fails it is told again after the next refresh."""
        if self.teach is None or told == self._taught:
            return
        try:
            await self.teach(told)
            self._taught = told
        except MachineError as wrong:
            log.warning("event=helper_not_taught reason=%r", wrong.message)

    def _begin(self, answer: TokenAnswer | AgentIdentity) -> None:
        """Pin the keys of an identity that is older than signatures; a strict owner does that by hand."""
        keys = [
            endorsement.pinned(key, "first-refresh", self.now())
            for key in endorsement.sound(answer.signing_keys)
            if not key.retired
        ]
        if keys and self.policy.signatures != OFFLINE:
            self.pinned.save(keys)
            log.warning("event=keys_pinned keys=%s", ",".join(key.key_id for key in keys))

    async def _learned(self, known: Sequence[TrustedKey], told: Sequence[SigningKey]) -> list[TrustedKey]:
        """Learn by the rules of :mod:`nanny_ops.machine.endorsement`; a signature is checked by the machine."""
        rules = endorsement.learn(known, told, self.policy, self.now())
        try:
            word = next(rules)
            while True:
                word = rules.send(await self._holds(word.key, word.message, word.signature))
        except StopIteration as end:
            learned: list[TrustedKey] = end.value
            return learned

    async def _holds(self, key: TrustedKey, message: bytes, signature: str) -> bool:
        try:
            return await self._verify(key, message, signature)
        except MachineError as wrong:
            log.warning("event=endorsement_unchecked key=%s reason=%r", key.key_id, wrong.message)
            return False

    async def _verify(self, key: TrustedKey, message: bytes, signature: str) -> bool:
        try:
            raw = decode(signature, SIGNATURE_SIZE, "signature")
        except ValidationFailed:
            return False
        verb = VerifySignature(public_key=key.raw, message=message, signature=raw)
        return (await self.hands.do(verb)).valid

    def _keys(self) -> list[TrustedKey] | None:
        try:
            return self.pinned.load() if self.local is None else self.local
        except TrustedKeysBroken as wrong:
            raise Refused(Outcome.SIGNATURE_MISSING, wrong.message) from wrong

    async def _first_sight(self, what: "Thing", script_id: str) -> list[TrustedKey] | None:
        """Pin keys at once where none ever were and the control plane signs; not every control plane does."""
        try:
            signed = await self._signatures(what, script_id)
        except Refused:
            return None
        if signed and self.refresh is not None:
            refresh, self.refresh = self.refresh, None
            await refresh()
        return self._keys()

    async def _signatures(self, what: "Thing", script_id: str) -> list[ScriptSignature]:
        try:
            answer = await self.client.request("GET", f"{what.path}/{quote(script_id, safe='')}/signature")
            return answer.read(ScriptSignatures).signatures[:MOST_KEYS]
        except (Rejected, TooLarge) as wrong:
            if wrong.details.get("status") == 401:
                raise
            raise Refused(Outcome.SIGNATURE_MISSING, f"{wrong.message} The {what.noun} was not {what.done}.") from wrong

    async def _count(
        self,
        what: "Thing",
        script_id: str,
        sha256: str,
        trusted: dict[str, TrustedKey],
        signatures: list[ScriptSignature],
    ) -> list[KeySignature]:
        good, bad, needed = dict[str, KeySignature](), set[str](), self.policy.threshold
        try:
            message = what.message(script_id, sha256)
            for one in signatures:
                if one.key_id in trusted and one.key_id not in {*good, *bad} and len(good) < needed:
                    key = trusted[one.key_id]
                    if await self._verify(key, message, one.signature):
                        good[one.key_id] = KeySignature(public_key=key.public_key, signature=one.signature)
                    else:
                        bad.add(one.key_id)
        except ValidationFailed as wrong:
            raise Refused(Outcome.REFUSED, wrong.message) from wrong
        except MachineError as wrong:
            raise Refused(
                Outcome.SIGNATURE_UNCHECKED, f"{wrong.message} The {what.noun} was not {what.done}."
            ) from wrong
        if bad:
            log.warning("event=signature_invalid %s=%s keys=%s", what.noun, script_id, ",".join(sorted(bad)))
        if len(good) < needed:
            outcome = Outcome.SIGNATURE_INVALID if bad else Outcome.SIGNATURE_MISSING
            raise Refused(outcome, _sentence(what, len(good), needed, bad))
        log.info("event=%s_verified %s=%s keys=%s", what.noun, what.noun, script_id, ",".join(sorted(good)))
        return list(good.values())


def _sentence(what: "Thing", good: int, needed: int, bad: set[str]) -> str:
    forged = f" What is said to be signed by {', '.join(sorted(bad))} is not." if bad else ""
    return f"{good} of {needed} trusted keys have signed this {what.noun}; it was not {what.done}.{forged}"
