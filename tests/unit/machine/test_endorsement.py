"""The rules by which trust grows, without a daemon or a helper around them; tests of either drive them for real."""

from datetime import UTC, datetime

from nanny_ops.machine.endorsement import Word, first, learn
from nanny_ops.machine.policy import Policy
from nanny_ops.machine.trusted_keys import TrustedKey
from nanny_ops.protocol.signature import Endorsement, SigningKey, encode, key_id

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RAW = {name: bytes([number]) * 32 for number, name in enumerate("abc", 1)}
NAME = {name: key_id(raw) for name, raw in RAW.items()}


def told(name: str, *by: str, retired: bool = False) -> SigningKey:
    words = [Endorsement(key_id=NAME[one], signature=encode(one.encode() * 64)) for one in by]
    return SigningKey(
        key_id=NAME[name], public_key=encode(RAW[name]), origin="offline", retired=retired, endorsements=words
    )


def drive(known: list[TrustedKey], offered: list[SigningKey], *, hold: bool = True) -> tuple[list[str], list[Word]]:
    rules, asked = learn(known, offered, Policy(), NOON), []
    try:
        word = next(rules)
        while True:
            asked.append(word)
            word = rules.send(hold)
    except StopIteration as end:
        return [key.key_id for key in end.value if not key.retired], asked


def test_a_chain_is_followed_link_by_link() -> None:
    known = first([told("a")], "enrolment", NOON)
    found, asked = drive(known, [told("c", "b"), told("b", "a")])
    assert set(found) == set(NAME.values())
    assert [word.key.key_id for word in asked] == [NAME["a"], NAME["b"]]


def test_a_word_that_does_not_hold_adds_nothing_and_ends_the_chain() -> None:
    known = first([told("a")], "enrolment", NOON)
    found, asked = drive(known, [told("c", "b"), told("b", "a")], hold=False)
    assert (found, len(asked)) == ([NAME["a"]], 1)


def test_what_nobody_vouches_for_is_not_even_asked_about() -> None:
    known = first([told("a")], "enrolment", NOON)
    assert drive(known, [told("b"), told("c", "c")]) == ([NAME["a"]], [])


def test_a_retired_key_goes_and_vouches_no_more() -> None:
    known = first([told("a"), told("b", retired=True)], "enrolment", NOON)
    assert [key.key_id for key in known] == [NAME["a"]]
    assert drive(known, [told("a", retired=True), told("b", "a")]) == ([], [])
