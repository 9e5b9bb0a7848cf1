"""Carries readings to the control plane, and keeps them in the spool while it is away."""

import asyncio
import logging

import msgspec

from nanny_ops.agent.backoff import TRIES
from nanny_ops.agent.client import ApiClient
from nanny_ops.agent.spool import Reading, Spool
from nanny_ops.errors import NannyError, Rejected, SpoolError, TooLarge

log = logging.getLogger(__name__)
#: Batches that wait to be sent before they go to the spool unseen.
QUEUE = 16
#: Kept readings that are sent per round, and seconds between rounds: 48 a minute, below the limit for backfill.
ROUND, PACE = 8, 10


class Courier:
    """Sends what is fresh at once and what was kept at a bounded pace."""

    def __init__(self, client: ApiClient, spool: Spool) -> None:
        """Take the way out and the place to wait."""
        self._client, self._spool = client, spool
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
        """Send one batch; from the first failure on the rest is kept."""
        sent: list[str] = []
        for place, one in enumerate(readings):
            try:
                await self._post(one, tries=1 if self._away else TRIES)
            except asyncio.CancelledError:
                self._keep(readings[place:])
                raise
            except NannyError as wrong:
                self._leave(wrong)
                self._keep(readings[place:])
                break
            self._away = False
            sent += [one.subject] if one.subject else []
        if sent:
            self._forget(sent)

    async def drain(self) -> None:
        """Send a few of the readings that were kept, the oldest first."""
        for _ in range(0 if self._away else ROUND):
            found = self._spool.oldest(1)
            if not found:
                return
            try:
                await self._post(found[0], tries=1)
            except NannyError as wrong:
                log.info("event=backlog_waits reason=%r", wrong.message)
                return
            self._spool.acknowledged(found[0].seq)

    async def _post(self, one: Reading, *, tries: int) -> None:
        try:
            await self._client.request("POST", one.path, body=msgspec.Raw(one.body), tries=tries)
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
