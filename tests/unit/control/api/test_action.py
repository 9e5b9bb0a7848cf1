"""Which bodies are of the older dialect, and that its actions need no more than they should."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.control.api.action import ACTIONS, WORDS, spoken
from nanny_ops.errors import AuthorizationPending, SlowDown, Unavailable


@pytest.mark.parametrize(
    ("raw", "is_spoken"),
    [
        (b'{"action":"list"}', True),
        (b'{"action":null}', True),
        (b'{"note":{"action":1}}', False),
        (b'{"note":"\\"action\\""}', False),
        (b'["action"]', False),
        (b'{"action":', False),
        (b"", False),
    ],
)
def test_the_field_at_the_top_decides(raw: bytes, is_spoken: bool) -> None:
    assert (spoken(raw) is not None) == is_spoken


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.text(max_size=8) | st.just("action"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.just("action"), inner),
    max_leaves=8,
)


@given(JSON)
def test_any_body_is_of_one_dialect(body: Any) -> None:
    said = spoken(json.dumps(body).encode())
    assert (said is not None) == (isinstance(body, dict) and "action" in body)


def test_what_passes_is_no_reason_to_give_up_polling() -> None:
    passing = {AuthorizationPending, SlowDown, Unavailable}
    for waiting in passing:
        assert "device not authorized" in WORDS["register", waiting][1]
    final = [word for (_, kind), (_, word) in WORDS.items() if kind not in passing]
    assert not [word for word in final if "device not authorized" in word]
    assert {action for action, _ in WORDS} <= set(ACTIONS)
