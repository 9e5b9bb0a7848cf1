"""Carries readings to the control plane, and keeps them in the spool while it is away or asks to wait."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from nanny_ops.agent.backoff import RETRY_AFTER_CAP, TRIES
from nanny_ops.agent.client import ApiClient
from nanny_ops.agent.spool import Reading, Spool
from nanny_ops.errors import NannyError, RateLimited, Rejected, SpoolError, TooLarge, ValidationFailed
from nanny_ops.protocol.clock import now as utc_now
from nanny_ops.protocol.clock import parse_stamp

log = logging.getLogger(__name__)
#: Batches that wait to be sent before they go to the spool unseen.
QUEUE = 16
#: Kept readings that are sent per round, and seconds between rounds: 48 a minute, below the limit for backfill.
ROUND, PACE = 8, 10
#: Age from which a kept reading is sent: it then counts against the limit for backfill (60 s), not against that for
#: fresh ones; the rest is for clocks that differ.
BACKFILL_AGE = timedelta(seconds=65)
#: What stands for all readings without a subject.
NO_SUBJECT = ""


class _Made(msgspec.Struct):
    """When a reading was made; reports of objects do not say."""

    timestamp: str = ""


class _PutOff(NamedTuple):
    """Until when something is not sent, and what it was: a report that says something else is."""

    until: datetime
    body: int

    def holds(self, now: datetime) -> bool:
        # Further ahead than anything is put off: the clock was set back.
        return now < self.until <= now + timedelta(seconds=RETRY_AFTER_CAP)


class Courier:
    """Sends what is fresh at once and what was kept at a bounded pace.

    What the control plane puts off (429) waits in the spool for as long as it said, and holds up nothing else.
    """

    def __init__(self, client: ApiClient, spool: Spool, *, now: Callable[[], datetime] = utc_now) -> None:
        """Take the way out, the place to wait, and the clock."""
        self._client, self._spool, self._now = client, spool, now
        #: What the control plane has put off: kept readings by subject, and fresh ones without a subject.
        self._put_off: dict[str, _PutOff] = {}
        self._fresh_put_off: _PutOff | None = None
        self._queue: asyncio.Queue[list[Reading]] = asyncio.Queue(QUEUE)
        self._away = False

    def put(self, readings: list[Reading]) -> None:
        """Take one batch; it is sent by :meth:`run`."""
        try:
            self._queue.put_nowait(readings)
        except asyncio.QueueFull:
            self._keep(readings)

    async def run(self) -> None:
        """Send batches until cancelled."""
        while True:
            await self.send(await self._queue.get())

    def close(self) -> None:
        """Put into the spool whatever is still waiting."""
        while not self._queue.empty():
            self._keep(self._queue.get_nowait())

    async def send(self, readings: list[Reading]) -> None:
        """Send one batch; from the first failure on the rest is kept. Of what is put off only that one is kept."""
        sent: list[str] = []
        for place, one in enumerate(readings):
            try:
                arrived = await self._offer(one)
            except asyncio.CancelledError:
                self._keep(readings[place:])
                raise
            except NannyError as wrong:
                self._leave(wrong)
                self._keep(readings[place:])
                break
            sent += [one.subject] if arrived and one.subject else []
        if sent:
            self._forget(sent)

    async def drain(self) -> None:
        """Send a few of the readings that were kept, the oldest first; what was put off or is young stays."""
        try:
            await self._drain()
        except SpoolError as wrong:  # what cannot be forgotten is sent once more; what cannot be read waits
            log.error("event=backlog_stuck reason=%r", wrong.message)

    async def _drain(self) -> None:
        now = self._now()
        self._put_off = {subject: one for subject, one in self._put_off.items() if one.holds(now)}
        besides = set(self._put_off)
        for _ in range(0 if self._away else ROUND):
            found = self._spool.oldest(1, besides)
            if not found:
                return
            one = found[0]
            if one.subject is None and self._is_young(one):
                besides.add(NO_SUBJECT)  # the others are younger still
                continue
            try:
                await self._post(one, tries=1)
            except NannyError as wrong:
                self._wait(one, wrong)
                return
            self._spool.acknowledged(one.seq)

    async def _offer(self, one: Reading) -> bool:
        """Send a fresh reading, or keep it when it is put off; tell whether it has arrived."""
        known = self._put_off.get(one.subject) if one.subject else self._fresh_put_off
        if known is not None and known.holds(self._now()) and (not one.subject or known.body == hash(one.body)):
            self._keep([one])
            return False
        try:
            await self._post(one, tries=1 if self._away else TRIES)
        except RateLimited as wrong:
            refused = self._refused(one, wrong)
            if one.subject:
                self._put_off[one.subject] = refused
            else:
                self._fresh_put_off = refused
            log.info("event=reading_put_off path=%s subject=%s until=%s", one.path, one.subject, refused.until)
            self._away = False
            self._keep([one])
            return False
        self._away = False
        return True

    def _wait(self, one: Reading, wrong: NannyError) -> None:
        if isinstance(wrong, RateLimited):
            self._put_off[one.subject or NO_SUBJECT] = self._refused(one, wrong)
        log.info("event=backlog_waits reason=%r", wrong.message)

    def _refused(self, one: Reading, wrong: RateLimited) -> _PutOff:
        return _PutOff(self._now() + timedelta(seconds=wrong.details["retry_after"]), hash(one.body))

    def _is_young(self, one: Reading) -> bool:
        try:
            made = parse_stamp(msgspec.json.decode(one.body, type=_Made).timestamp)
        except (msgspec.MsgspecError, ValidationFailed):
            return False
        return timedelta(0) <= self._now() - made < BACKFILL_AGE

    async def _post(self, one: Reading, *, tries: int) -> None:
        try:
            await self._client.request("POST", one.path, body=msgspec.Raw(one.body), tries=tries, waits=False)
        except (Rejected, TooLarge) as wrong:
            if wrong.details.get("status") == 401:
                raise
            log.warning("event=reading_refused path=%s reason=%r", one.path, wrong.message)

    def _leave(self, wrong: NannyError) -> None:
        if not self._away:
            log.warning("event=control_plane_away reason=%r", wrong.message)
        self._away = True

    def _forget(self, subjects: list[str]) -> None:
        try:
            self._spool.superseded(subjects)
        except SpoolError as wrong:  # an older report may follow the newer one, until the next cycle mends that
            log.error("event=readings_not_forgotten reason=%r", wrong.message)

    def _keep(self, readings: list[Reading]) -> None:
        try:
            self._spool.keep(readings)
        except SpoolError as wrong:
            log.error("event=readings_lost count=%d reason=%r", len(readings), wrong.message)
