"""Limits count, say how long to wait, and can be switched off."""

import pytest
from limits import RateLimitItemPerMinute

from nanny_ops.control.services.limit import Limits
from nanny_ops.errors import RateLimited

TWICE = RateLimitItemPerMinute(2)


def test_the_third_of_two_is_refused_with_the_seconds_to_wait() -> None:
    limits = Limits(enabled=True)
    limits.hit(TWICE, "login", "a")
    limits.hit(TWICE, "login", "a")
    with pytest.raises(RateLimited) as caught:
        limits.hit(TWICE, "login", "a")
    assert 1 <= int(caught.value.headers["Retry-After"]) <= 60
    limits.hit(TWICE, "login", "b")


def test_switched_off_counts_nothing() -> None:
    limits = Limits(enabled=False)
    for _ in range(10):
        limits.hit(TWICE, "login", "a")
