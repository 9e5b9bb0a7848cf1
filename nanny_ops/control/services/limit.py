"""How often something may be asked.

Agents' limits let ten percent of jitter pass: a window counts as over after nine tenths of it. They are counted in this
process's memory, like those of people; each further process of a control plane counts for itself.
"""

import math
import time
from bisect import bisect
from typing import NamedTuple

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from nanny_ops.control.services.tally import Tally

#: Attempts to sign in, per address and per account.
LOGIN = RateLimitItemPerMinute(5)
#: New device codes per address: an attacker must not fill the table or guess user codes.
DEVICE_START = RateLimitItemPerMinute(30)
DEVICE_DECIDE = RateLimitItemPerMinute(20)
#: Fresh readings, and old ones sent after an outage, per agent and minute; a reading is old from BACKFILL_AGE on.
FRESH, BACKFILL = 2, 60
BACKFILL_AGE = 60.0
#: Whole readings of Proxmox VE per agent and minute: one may come in parts, and many come after an outage.
INVENTORIES = 60
#: Seconds of a window, less what jitter may take.
JITTER = 0.1
MINUTE, FIVE_MINUTES = 60 * (1 - JITTER), 300 * (1 - JITTER)
#: Agents, and objects of agents, remembered at most. Beyond that the longest unused one begins anew.
AGENTS, OBJECTS = 20_000, 100_000


class Quota(NamedTuple):
    """Where an asker stands: of ``limit``, ``remaining`` are left until ``reset`` (seconds of the epoch).

    ``wait`` is 0 for what passes, else the seconds after which the same would pass.
    """

    limit: int
    remaining: int
    reset: float
    wait: float = 0.0

    @property
    def seconds(self) -> int:
        """Return what to wait, as Retry-After says it."""
        return max(1, math.ceil(self.wait))

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Return the headers that tell the asker."""
        return (
            (b"x-ratelimit-limit", b"%d" % self.limit),
            (b"x-ratelimit-remaining", b"%d" % self.remaining),
            (b"x-ratelimit-reset", b"%d" % math.ceil(self.reset)),
        )


class Limits:
    """Counts what is asked. Every method returns None when limits are switched off."""

    def __init__(self, *, enabled: bool) -> None:
        """Count nothing when disabled."""
        self._enabled = enabled
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._fresh = Tally(BACKFILL_AGE + MINUTE, AGENTS)
        self._backfill = Tally(MINUTE, AGENTS)
        self._reports = Tally(FIVE_MINUTES, OBJECTS)
        self._inventories = Tally(MINUTE, AGENTS)

    def hit(self, limit: RateLimitItem, *key: str) -> Quota | None:
        """Count one use by a person, or by somebody who is not known yet."""
        if not self._enabled:
            return None
        passes = self._limiter.hit(limit, *key)
        stats = self._limiter.get_window_stats(limit, *key)
        wait = 0.0 if passes else max(1.0, stats.reset_time - time.time())
        return Quota(limit.amount, stats.remaining, stats.reset_time, wait)

    def reading(self, agent_id: str, at: float, now: float) -> Quota | None:
        """Count one reading of a host, made at ``at``; a reading that is old has an allowance of its own."""
        if not self._enabled:
            return None
        return self._old(agent_id, now) if now - at >= BACKFILL_AGE else self._new(agent_id, min(at, now), now)

    def report(self, agent_id: str, kind: str, name: str, now: float) -> Quota | None:
        """Look whether an agent has told of this object lately; it is counted by :meth:`reported`."""
        if not self._enabled:
            return None
        seen = self._reports.of((agent_id, kind, name), now)
        return Quota(1, 0, seen[-1] + FIVE_MINUTES, seen[-1] + FIVE_MINUTES - now) if seen else Quota(1, 1, now)

    def reported(self, agent_id: str, kind: str, name: str, now: float) -> Quota | None:
        """Count a report that was taken in."""
        if not self._enabled:
            return None
        self._reports.add((agent_id, kind, name), now, now)
        return Quota(1, 0, now + FIVE_MINUTES)

    def inventory(self, agent_id: str, now: float) -> Quota | None:
        """Count one whole reading of Proxmox VE, or a part of one."""
        return _counted(self._inventories, INVENTORIES, agent_id, now) if self._enabled else None

    def _old(self, agent_id: str, now: float) -> Quota:
        return _counted(self._backfill, BACKFILL, agent_id, now)

    def _new(self, agent_id: str, at: float, now: float) -> Quota:
        # By the readings' own instants: one that was held up by a retry takes nothing from the next one's share.
        seen = self._fresh.of(agent_id, now)
        place = bisect(seen, at)
        near = [*seen[max(0, place - FRESH) : place], at, *seen[place : place + FRESH]]
        if any(last - first < MINUTE for first, last in zip(near, near[FRESH:], strict=False)):
            # A newer reading passes a window after the last but one; this one at the latest when it is old.
            reset = max(seen[-FRESH] + MINUTE, at + BACKFILL_AGE)
            return Quota(FRESH, 0, reset, reset - now)
        self._fresh.add(agent_id, at, now)
        lately = self._fresh.of(agent_id, now)
        first = bisect(lately, now - MINUTE)
        left = max(0, FRESH - len(lately) + first)
        return Quota(FRESH, left, (lately[first] + MINUTE) if first < len(lately) else now)


def _counted(tally: Tally, limit: int, key: str, now: float) -> Quota:
    """Count one use in a minute, of as many as the limit says."""
    seen = tally.of(key, now)
    left, reset = limit - len(seen), (seen[0] if seen else now) + MINUTE
    if not left:
        return Quota(limit, 0, reset, reset - now)
    tally.add(key, now, now)
    return Quota(limit, left - 1, reset)
