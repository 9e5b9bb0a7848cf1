"""Waiting times: doubling, bounded, spread."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.agent import backoff


@pytest.mark.rows("G0-ER-03")
def test_requests_wait_one_two_four_eight_sixteen_thirtytwo() -> None:
    waits = [backoff.delay(n, lambda: 0.5) for n in range(8)]
    assert waits == [1, 2, 4, 8, 16, 32, 32, 32]


@pytest.mark.rows("G0-SE-01")
def test_the_stream_waits_five_seconds_and_up_to_a_minute() -> None:
    waits = [backoff.delay(n, lambda: 0.5, first=backoff.STREAM_FIRST, cap=backoff.STREAM_CAP) for n in range(6)]
    assert waits == [5, 10, 20, 40, 60, 60]


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0.1, 10), st.floats(10, 100))
def test_a_wait_is_near_its_plain_value_and_never_above_the_cap(n: int, r: float, first: float, cap: float) -> None:
    plain = min(cap, first * 2 ** min(n, 30))
    wait = backoff.delay(n, lambda: r, first=first, cap=cap)
    assert plain * 0.8 - 1e-9 <= wait <= min(cap, plain * 1.2) + 1e-9


@pytest.mark.parametrize(
    ("status", "again"),
    [
        (408, True),
        (425, True),
        (429, True),
        (500, True),
        (503, True),
        (400, False),
        (403, False),
        (404, False),
        (413, False),
    ],
)
def test_only_what_may_pass_is_tried_again(status: int, again: bool) -> None:
    assert backoff.is_retryable(status) is again


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3", 3.0), ("0", 0.0), ("99999", 300.0), (None, None), ("soon", None), ("-1", None), ("nan", None)],
)
def test_retry_after_is_read_in_seconds(text: str | None, seconds: float | None) -> None:
    assert backoff.retry_after(text) == seconds
