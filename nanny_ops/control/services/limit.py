"""How often something may be asked."""

import math
import time

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from nanny_ops.errors import RateLimited

#: Attempts to sign in, per address and per account.
LOGIN = RateLimitItemPerMinute(5)
#: New device codes per address: an attacker must not fill the table or guess user codes.
DEVICE_START = RateLimitItemPerMinute(30)
DEVICE_DECIDE = RateLimitItemPerMinute(20)


class Limits:
    """Counts in this process's memory."""

    def __init__(self, *, enabled: bool) -> None:
        """Count nothing when disabled."""
        self._enabled = enabled
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def hit(self, limit: RateLimitItem, *key: str) -> None:
        """Count one use. Raises RateLimited with the seconds to wait."""
        if self._enabled and not self._limiter.hit(limit, *key):
            reset = self._limiter.get_window_stats(limit, *key).reset_time
            raise RateLimited(retry_after=max(1, math.ceil(reset - time.time())))
