"""Bodies are checked against a record, and what the record does not know is kept."""

import asyncio
import json
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import pytest
from annotated_types import Ge, MaxLen
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.control.api.body import Record, read
from nanny_ops.errors import BadRequest, BodyLate, TooLarge, UnknownAction, ValidationFailed


@dataclass(frozen=True, kw_only=True)
class Part:
    """A nested record."""

    size: Annotated[int, Ge(0)]


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A record."""

    name: Annotated[str, MaxLen(8)]
    amount: float = 0.0
    parts: list[Part] = field(default_factory=list)


LOOSE = Record(Whole, {"name": "a"})
STRICT = Record(Whole, {"name": "a"}, strict=True)


def test_the_rest_is_kept() -> None:
    known, whole = LOOSE.parse_open(b'{"name":"a","parts":[{"size":"3"}],"more":[1]}')
    assert isinstance(known, Whole)
    assert asdict(known) == {"name": "a", "amount": 0.0, "parts": [{"size": 3}]}
    assert whole == {"name": "a", "parts": [{"size": "3"}], "more": [1]}


def test_strict_converts_nothing() -> None:
    with pytest.raises(ValidationFailed, match=r"^parts\.0\.size: "):
        STRICT.parse(b'{"name":"a","parts":[{"size":"3"}]}')


@pytest.mark.parametrize(
    "text", ['{"name":"a","x":NaN}', '{"name":"a","x":[-Infinity]}', '{"name":"a","amount":1e999}']
)
def test_words_for_numbers_are_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        LOOSE.parse(text.encode())


def test_words_in_texts_are_texts() -> None:
    assert LOOSE.parse(b'{"name":"NaN"}').name == "NaN"
    assert LOOSE.parse(b'{"name":"a","x":"\\"action\\""}').name == "a"


def test_a_number_too_large_for_anything_is_refused_where_the_body_is_kept() -> None:
    with pytest.raises(BadRequest, match="too large"):
        LOOSE.parse_open(b'{"name":"a","x":{"y":[1e999]}}')


def test_a_nul_is_refused_where_text_goes_into_columns() -> None:
    with pytest.raises(ValidationFailed, match="NUL"):
        LOOSE.parse_open(b'{"name":"a\\u0000"}')


@pytest.mark.parametrize("text", ['{"action":"x"}', '{"name":"a","action":1}'])
def test_an_action_is_another_dialect(text: str) -> None:
    with pytest.raises(UnknownAction):
        LOOSE.parse(text.encode())


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=60) | st.dictionaries(st.sampled_from(["name", "amount", "parts", "x"]), json_values))
def test_whatever_comes_is_taken_or_refused_by_name(given_: Any) -> None:
    raw = given_ if isinstance(given_, bytes) else json.dumps(given_).encode()
    try:
        _, whole = LOOSE.parse_open(raw)
    except BadRequest:
        return
    json.dumps(whole, allow_nan=False)


def test_the_description_stands_alone() -> None:
    described = json.dumps(LOOSE.documented())
    assert "$ref" not in described
    assert "$defs" not in described
    assert '"size"' in described


def messages(*pieces: bytes) -> Any:
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting[-1]["more_body"] = False

    async def receive() -> Any:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    receive.waiting = waiting  # type: ignore[attr-defined]
    return receive


async def test_pieces_are_put_together() -> None:
    assert await read(messages(b"ab", b"", b"c"), None, cap=3) == b"abc"


async def test_an_announced_excess_is_not_read() -> None:
    receive = messages(b"abcd")
    with pytest.raises(TooLarge):
        await read(receive, b"4", cap=3)
    assert len(receive.waiting) == 1


async def test_an_excess_ends_the_reading() -> None:
    receive = messages(b"ab", b"cd", b"ef", b"gh")
    with pytest.raises(TooLarge):
        await read(receive, None, cap=3)
    assert len(receive.waiting) == 2


async def test_a_sender_that_goes_away_is_no_report() -> None:
    receive = messages(b"ab", b"cd")
    receive.waiting[1] = {"type": "http.disconnect"}
    with pytest.raises(BadRequest, match="early"):
        await read(receive, None)


async def test_a_body_that_does_not_come_is_given_up() -> None:
    async def stuck() -> Any:
        await asyncio.sleep(30)

    with pytest.raises(BodyLate, match=r"within 0\.05 seconds"):
        await read(stuck, None, patience=0.05)
