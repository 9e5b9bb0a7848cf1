"""The tightest of several limits is told, and a spent one refuses."""

from typing import Any

import pytest

from nanny_ops.control.api.limit import admit
from nanny_ops.control.services.limit import Quota
from nanny_ops.errors import RateLimited


def test_the_tightest_limit_is_told() -> None:
    scope: dict[str, Any] = {"state": {}}
    wide, tight = Quota(5, 4, 10), Quota(5, 1, 20)
    for quota in (wide, tight, wide, None):
        admit(scope, quota)
    assert scope["state"]["quota"] is tight


def test_a_spent_limit_is_told_and_refuses() -> None:
    scope: dict[str, Any] = {"state": {}}
    spent = Quota(5, 0, 20, 6.5)
    with pytest.raises(RateLimited) as caught:
        admit(scope, spent)
    assert caught.value.headers == {"Retry-After": "7"}
    assert scope["state"]["quota"] is spent


def test_without_limits_nothing_is_told() -> None:
    scope: dict[str, Any] = {"state": {}}
    admit(scope, None)
    assert scope["state"] == {}
