"""How trust in keys grows: a key is taken by the word of enough keys that are trusted already, and by no other.

The daemon and its privileged helper both learn by these rules, each from keys that it holds itself. Who learns checks
the signatures, each of which costs a child process: the rules yield what is to be checked, and are told what held.
"""

import logging
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from nanny_ops.errors import ValidationFailed
from nanny_ops.machine.policy import Policy
from nanny_ops.machine.trusted_keys import How, TrustedKey, usable
from nanny_ops.protocol.clock import stamp
from nanny_ops.protocol.signature import KEY_SIZE, MOST_KEYS, SigningKey, decode, key_id, key_message

log = logging.getLogger(__name__)
#: Endorsements looked at in one go; each costs a child process.
MOST_CHECKS = 32


@dataclass(frozen=True)
class Word:
    """A trusted key's word for another one: its signature, in base64, of a message."""

    key: TrustedKey
    message: bytes
    signature: str


Learning = Generator[Word, bool, list[TrustedKey]]


def sound(offered: Sequence[SigningKey]) -> list[SigningKey]:
    """Return the keys that are what their names say, each once."""
    found: dict[str, SigningKey] = {}
    for key in offered[:MOST_KEYS]:
        try:
            if key_id(decode(key.public_key, KEY_SIZE, "public_key")) == key.key_id:
                found.setdefault(key.key_id, key)
        except ValidationFailed:
            log.warning("event=key_skipped key=%r", key.key_id[:64])
    return list(found.values())


def first(told: Sequence[SigningKey], how: How, now: datetime) -> list[TrustedKey]:
    """Return what is pinned where nothing was before: all that was told and is not retired."""
    return [pinned(key, how, now) for key in sound(told) if not key.retired]


def pinned(key: SigningKey, how: How, now: datetime) -> TrustedKey:
    """Return a key as it is kept."""
    return TrustedKey(key_id=key.key_id, public_key=key.public_key, origin=key.origin, how=how, since=stamp(now))


def learn(known: Sequence[TrustedKey], told: Sequence[SigningKey], policy: Policy, now: datetime) -> Learning:
    """Return what is trusted after something was told: retired keys go, new ones need the word of trusted ones."""
    offered = sound(told)
    gone = {key.key_id for key in offered if key.retired}
    kept = [replace(key, retired=key.retired or key.key_id in gone) for key in known]
    kept += yield from _vouched(kept, offered, policy, now)
    return kept[:MOST_KEYS]


def _vouched(known: Sequence[TrustedKey], offered: Sequence[SigningKey], policy: Policy, now: datetime) -> Learning:
    """Return the new keys for which enough trusted ones vouch, also where those are new themselves."""
    added: list[TrustedKey] = []
    waiting = [key for key in offered if not key.retired and key.key_id not in {one.key_id for one in known}]
    checks, news = MOST_CHECKS, True
    while news:
        news = False
        for key in list(waiting):
            judges = usable([*known, *added], policy)
            words = {word.key_id: word.signature for word in key.endorsements if word.key_id in judges}
            if len(words) < policy.threshold or len(words) > checks:
                continue
            waiting.remove(key)
            checks -= len(words)
            message = key_message(decode(key.public_key, KEY_SIZE, "public_key"), key.origin)
            good = []
            for name, signature in words.items():
                if (yield Word(judges[name], message, signature)):
                    good.append(name)
            if len(good) >= policy.threshold:
                added.append(replace(pinned(key, "endorsement", now), vouched_by=good))
                news = True
    return added
