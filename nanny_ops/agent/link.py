"""The one connection: events in by a stream that is always opened again, and a question for what was missed."""

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from nanny_ops.agent import backoff
from nanny_ops.agent.client import ApiClient
from nanny_ops.errors import NannyError, Rejected, Unreachable
from nanny_ops.protocol.operation import OpenOperations
from nanny_ops.protocol.realtime import CHANNELS, GUIDE_CHANNELS, SILENCE, Connected, RecordEvent, Subscribe
from nanny_ops.protocol.sse import Event, Reader

log = logging.getLogger(__name__)
PATH = "/api/realtime"
#: Ids that fit into a header; with any other one the question for open orders finds what was missed.
_SENDABLE = re.compile(r"[!-~]{1,256}")
Submit = Callable[[str, str, dict[str, Any]], None]


class Link:
    """Listens for orders and hands them on; an event counts as seen once it was handed on."""

    def __init__(
        self,
        client: ApiClient,
        submit: Submit,
        agent_id: str,
        *,
        sleep: Callable[[float], Awaitable[None]],
        random: backoff.Random,
        caught_up: Callable[[], None] = lambda: None,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """Take where orders go; ``caught_up`` is called after each answered question for open orders.

        ``alive`` is called with each piece that comes and each new try.
        """
        self._client, self._submit, self._agent_id = client, submit, agent_id
        self._sleep, self._random, self._caught_up, self._alive = sleep, random, caught_up, alive
        self._last_id, self._failures = "", 0
        self._first_wait = backoff.STREAM_FIRST

    async def run(self) -> None:
        """Keep the stream open until cancelled, or until the agent's identity is refused."""
        while not self._client.refused.is_set():
            self._alive()
            try:
                await self._listen()
                reason = "the stream ended"
            except NannyError as wrong:
                reason = wrong.message
            if self._client.refused.is_set():
                return
            wait = backoff.delay(self._failures, self._random, first=self._first_wait, cap=backoff.STREAM_CAP)
            self._failures += 1
            log.info("event=link_down wait=%.1f reason=%r", wait, reason)
            await self._sleep(wait)

    async def pull(self) -> None:
        """Ask for open orders; a failure is left for the next time."""
        path = f"/api/agent/{quote(self._agent_id, safe='')}/operations?state=open"
        try:
            found = (await self._client.request("GET", path)).read(OpenOperations)
            for item in found.items:
                record = item.get("record")
                if isinstance(record, dict):
                    self._submit(str(item.get("topic", "")), "create", record)
            self._caught_up()
        except NannyError as wrong:
            log.info("event=pull_failed reason=%r", wrong.message)

    async def _listen(self) -> None:
        headers = {"Last-Event-ID": self._last_id} if _SENDABLE.fullmatch(self._last_id) else {}
        reader = Reader(self._last_id)
        catching_up: asyncio.Task[None] | None = None
        try:
            async with (
                self._client.stream(PATH, headers) as chunks,
                contextlib.aclosing(self._events(reader, chunks)) as events,
            ):
                await self._subscribe(await _greeting(events))
                log.info("event=link_up last_event_id=%s", self._last_id or "none")
                self._failures = 0
                catching_up = asyncio.create_task(self.pull(), name="pull")
                async for event in events:
                    self._take(event)
                    self._last_id = reader.last_id
        finally:
            if catching_up is not None:
                catching_up.cancel()
                await asyncio.wait([catching_up])

    async def _events(self, reader: Reader, chunks: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        async for chunk in chunks:
            self._alive()
            for event in reader.feed(chunk):
                yield event
            if reader.retry_ms is not None:
                self._first_wait = min(max(reader.retry_ms / 1000, 1.0), backoff.STREAM_CAP)

    async def _subscribe(self, greeting: Connected) -> None:
        try:
            await self._bind(greeting, CHANNELS)
        except Rejected as wrong:
            if wrong.details.get("status") not in {400, 422}:
                raise
            await self._bind(greeting, GUIDE_CHANNELS)  # a control plane that is older than the other channels

    async def _bind(self, greeting: Connected, channels: Sequence[str]) -> None:
        await self._client.request("POST", PATH, body=Subscribe(clientId=greeting.clientId, subscriptions=[*channels]))

    def _take(self, event: Event) -> None:
        if event.name == "gap":
            log.warning("event=link_gap data=%.200r action='open orders follow'", event.data)
            return
        if event.name != "record":
            log.debug("event=ignored name=%r", event.name)
            return
        try:
            found = msgspec.json.decode(event.data, type=RecordEvent)
        except (msgspec.MsgspecError, RecursionError) as wrong:
            log.warning("event=malformed id=%r reason=%r", event.id, str(wrong))
            return
        self._submit(event.name, found.action, found.record)


async def _greeting(events: AsyncIterator[Event]) -> Connected:
    try:
        async with asyncio.timeout(SILENCE):
            async for event in events:
                if event.name == "connect":
                    return msgspec.json.decode(event.data, type=Connected)
    except TimeoutError:
        raise Unreachable(f"The stream did not greet within {SILENCE} s.") from None
    except msgspec.MsgspecError as wrong:
        raise Rejected(f"The stream's greeting cannot be understood: {wrong}") from wrong
    raise Unreachable("The stream ended before its greeting.")
