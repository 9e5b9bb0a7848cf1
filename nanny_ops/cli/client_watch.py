"""The client's calls about streams: followed to their end, across connections that break."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

import httpx

from nanny_ops.cli.client_call import segment
from nanny_ops.cli.refusal import refusal
from nanny_ops.errors import RateLimited, Unauthorized, Unavailable, Unreachable
from nanny_ops.protocol.realtime import SILENCE
from nanny_ops.protocol.sse import Reader
from nanny_ops.protocol.watch import CLOSED, END

StreamNoun = Literal["patches", "patch-batches", "reboots", "updates"]
#: What is told of an event: its name and its data; an empty name where a sign of life came and nothing else.
Told = tuple[str, dict[str, Any]]
#: Tries in a row that bring no event, and the longest pause between two, in seconds.
STREAM_TRIES, STREAM_PAUSE = 20, 30.0
#: Seconds to connect; and the answer to who was told the end already.
CONNECT, NOTHING_MORE = 10.0, 204
#: Told of a stream that ended without its last event, as the control plane ends each after an hour.
ENDED = "the control plane has ended the stream"


class WatchCalls:
    """What :class:`nanny_ops.cli.client.Client` can follow."""

    url: str
    _http: httpx.Client
    _sleep: Callable[[float], None]
    _jitter: Callable[[], float]

    def watch(
        self, noun: StreamNoun, key: str, lost: Callable[[str, float], None] = lambda _why, _seconds: None
    ) -> Iterator[Told]:
        """Yield what happens to an order or a batch, from its beginning to its end, each event once.

        ``lost`` is told why a connection broke, and after how many seconds it is tried again. Raises NotFound,
        Forbidden, Unreachable, and Unauthorized where the token was revoked meanwhile.
        """
        path, reader, failures = f"/api/{noun}/{segment(key)}/stream", Reader(), 0
        why = ENDED
        while failures < STREAM_TRIES:
            try:
                for name, data in self._read(path, reader):
                    failures = 0 if name else failures
                    yield name, data
                    if name == END:
                        return
                why = ENDED
            except httpx.TransportError as wrong:
                why = str(wrong) or type(wrong).__name__
            except (Unavailable, RateLimited) as wrong:
                why = wrong.message
            failures += 1
            pause = min(STREAM_PAUSE, 2.0 ** (failures - 1)) * (0.5 + self._jitter() / 2)
            lost(why, pause)
            self._sleep(pause)
            reader = Reader(reader.last_id)
        raise Unreachable(f"{self.url} cannot be reached: {why}.")

    def _read(self, path: str, reader: Reader) -> Iterator[Told]:
        """Yield the events of one connection. Raises the named error of a refusal, and httpx.TransportError."""
        headers = {"Last-Event-ID": reader.last_id} if reader.last_id else {}
        with self._http.stream("GET", path, headers=headers, timeout=httpx.Timeout(SILENCE, connect=CONNECT)) as answer:
            if answer.status_code == NOTHING_MORE:
                yield END, {}
                return
            if not answer.is_success:
                answer.read()
                raise refusal(answer)
            for chunk in answer.iter_bytes():
                events = list(reader.feed(chunk))
                for event in events:
                    data = json.loads(event.data)
                    if event.name == CLOSED:
                        raise Unauthorized(str(data["error_description"]))
                    yield event.name, data
                if not events:
                    yield "", {}
