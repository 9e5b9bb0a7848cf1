# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of the control plane for ansible-rulebook; what was missed comes first, and nothing comes twice."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import re
import ssl
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

DOCUMENTATION = r"""
---
short_description: What happens in the fleet, and what becomes of orders
description:
  - Follows the events of a control plane of nanny-ops, such as V(patch.ended), V(restart.needed) or V(node.offline).
  - Goes on behind the last event that was handed over, whose number is kept in a file, so that a source which was away
    misses nothing and repeats nothing. The first time it begins with what happens from then on.
  - With O(feedback) the number is kept when ansible-rulebook has written the event to its own store, and each event
    has the same C(meta.uuid) whenever it is told, by which ansible-rulebook knows it again. Without it, what was handed
    over and not yet acted upon is lost when ansible-rulebook is killed.
  - What is not kept any more by the control plane comes as one event of kind V(gap).
  - Where a template would begin in a text, such as in the name of a guest, a blank stands between the two signs, since
    Ansible evaluates what ansible-rulebook hands to a playbook.
options:
  url:
    description: Address of the control plane. Only on the machine itself may it begin with C(http).
    type: str
    required: true
  token:
    description:
      - A token of automation with the scope V(read).
      - Read from E(NANNY_OPS_TOKEN) where it is not given.
    type: str
  ca_file:
    description: File with the certificates of the authorities that are trusted, in PEM.
    type: str
  kinds:
    description: Kinds of events that are handed over, such as V(patch.ended), or V(guest) for all of guests.
    type: list
    elements: str
    default: []
  state_file:
    description:
      - File with the number of the last event. Each source of each rulebook needs one of its own.
      - Without it nothing is kept, and what happens while the source is away is missed.
    type: str
  feedback:
    description:
      - Whether to wait with each event until ansible-rulebook has stored it.
      - Needs ansible-rulebook 1.3 or newer with its option C(--persistence-id) and the variable C(drools_db_file_path)
        or those of a PostgreSQL server.
    type: bool
    default: false
  limit_to_host:
    description:
      - Whether plays are limited to the host that an event is about, by its C(meta.hosts).
      - Switch it off for plays on other hosts, such as the controller.
      - An event about something called C(all), C(localhost) or like a pattern of hosts limits plays to no host.
    type: bool
    default: true
"""

EXAMPLES = r"""
- nanny.ops.events:
    url: https://ops.example.com:8443
    token: "{{ NANNY_OPS_TOKEN }}"
    kinds: [patch.ended, restart]
    state_file: /var/lib/rulebooks/nanny.seq
    feedback: true
"""

log = logging.getLogger(__name__)
EVENTS = "/api/proxmox/events"
STREAM = EVENTS + "/stream"
#: Seconds to connect, and of silence after which a stream is given up: it has a heartbeat every 15.
CONNECT, SILENCE = 10, 45
#: Seconds of the first pause after a broken stream, doubled up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
#: Seconds in which ansible-rulebook must have taken an event; it may hold a source up while actions are busy.
TAKEN = 3600
#: Seconds after which what the engine has stored is on its disk, too: H2 takes half of one unless told otherwise.
SETTLED = 1.0
#: Bytes of one event at the most.
CAP = 4 * 1024 * 1024
LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: Where a template begins, or a line that names other signs for one.
TEMPLATE = re.compile(r"\{(?=[{%#])|\A#(?=jinja2:)")
#: The name of one host, names that mean more to Ansible, and what a play is limited to for anything else: a guest may
#: be called as its owner likes.
HOST, RESERVED, NOBODY = re.compile(r"\w[\w.-]*", re.ASCII), ("all", "ungrouped", *LOOPBACK), "nobody.invalid"
#: Answers after which it makes no sense to ask again.
FINAL = (400, 401, 403, 404, 422)


class Refused(Exception):
    """The control plane will not tell this source anything."""


class NotTaken(Exception):
    """The engine of the rulebook did not take an event; begun anew, it is told that one again."""


class Way:
    """How an event reaches the rules: into the queue and, where feedback is asked for, on until it is stored."""

    def __init__(self, queue: asyncio.Queue[Any], args: dict[str, Any], patience: float = TAKEN) -> None:
        """Take the queue of the rules and, from the arguments, that in which the engine gives back what it stored."""
        self._queue, self._patience = queue, patience
        self._feedback: asyncio.Queue[Any] | None = args.get("eda_feedback_queue")
        self._limited = bool(args.get("limit_to_host", True))
        #: Seconds to wait before the number of what was sent is kept.
        self.late = SETTLED if self._feedback is not None else 0.0

    async def send(self, event: dict[str, Any]) -> None:
        """Hand an event over. Raises NotTaken where the engine does not store it in time."""
        if not self._limited:
            event["meta"].pop("hosts")
        await self._queue.put(event)
        if self._feedback is None:
            return
        try:
            await asyncio.wait_for(self._feedback.get(), self._patience)
        except asyncio.TimeoutError:
            raise NotTaken("event %s was not taken in %d s" % (event["meta"]["uuid"], self._patience)) from None


class Position:
    """The number of the last event that was handed over."""

    def __init__(self, path: str | None) -> None:
        """Read the file if there is one. Raises ValueError for one that holds no number."""
        self.path = Path(path) if path else None
        self.seq = ""
        #: Whether nothing was handed over yet, so that nothing can be lost either.
        self.fresh = True
        if self.path is not None and self.path.exists():
            self.seq, self.fresh = self.path.read_text(encoding="ascii").strip(), False
            if not self.seq.isdigit():
                raise ValueError("%s holds no number of an event; remove it to begin anew" % self.path)

    def keep(self, seq: str, late: float = 0) -> None:
        """Note that everything up to this event was handed over, in the file ``late`` seconds later."""
        self.seq = seq
        if late:
            asyncio.get_running_loop().call_later(late, self._write, seq)
        else:
            self._write(seq)

    def _write(self, seq: str) -> None:
        """Write the number; after a crash the file holds the old one or the new one."""
        if self.path is None:
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.path.with_name(self.path.name + ".new")
        with fresh.open("w", encoding="ascii") as file:
            file.write(seq + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)


class Lines:
    """Puts the lines of a stream of server-sent events together to events."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._name, self._id, self._data = "", "", []  # type: str, str, list[str]

    def take(self, line: str) -> tuple[str, str, str] | None:
        """Take one line; return name, id and data of an event that is whole with it."""
        if line:
            field, _colon, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if field == "event":
                self._name = value
            elif field == "id":
                self._id = value
            elif field == "data":
                self._data.append(value)
            return None
        event = (self._name, self._id, "\n".join(self._data)) if self._data else None
        self._name, self._id, self._data = "", "", []
        return event


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """Follow the events until the rulebook ends. Raises ValueError for wrong arguments, Refused where that is final."""
    url = _checked(str(args.get("url") or ""))
    token = str(args.get("token") or os.environ.get("NANNY_OPS_TOKEN") or "")
    if not token:
        raise ValueError("nanny.ops.events needs a token")
    kinds, position = [str(kind) for kind in args.get("kinds") or []], Position(args.get("state_file"))
    way = Way(queue, args)
    context = ssl.create_default_context(cafile=args.get("ca_file")) if url.startswith("https:") else False
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=SILENCE)
    headers = {"Authorization": "Bearer " + token, "Accept": "text/event-stream"}
    pause = FIRST_PAUSE
    async with aiohttp.ClientSession(timeout=timeout, headers=headers, read_bufsize=CAP) as session:
        while True:
            before = position.seq
            try:
                await begin(session, url, context, position)
                await follow(session, url, context, position, way, kinds)
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as broken:
                log.warning("nanny.ops.events: the stream broke: %s", broken or type(broken).__name__)
            pause = FIRST_PAUSE if position.seq != before else min(LONGEST_PAUSE, pause * 2)
            await asyncio.sleep(pause * (0.5 + random.random() / 2))  # noqa: S311  it only spreads sources out


async def begin(session: aiohttp.ClientSession, url: str, context: ssl.SSLContext | bool, position: Position) -> None:
    """Note the newest event where no position is known, so that a source killed before its first event misses none."""
    if position.seq:
        return
    async with session.get(url + EVENTS, params={"limit": "1"}, ssl=context, allow_redirects=False) as answer:
        await _admitted(answer, url)
        items = (await answer.json())["items"]
    position.keep(str(items[0]["seq"] if items else 0))


async def follow(
    session: aiohttp.ClientSession,
    url: str,
    context: ssl.SSLContext | bool,
    position: Position,
    way: Way,
    kinds: list[str],
) -> None:
    """Read one stream until it ends."""
    headers = {"Last-Event-ID": position.seq}
    async with session.get(url + STREAM, headers=headers, ssl=context, allow_redirects=False) as answer:
        await _admitted(answer, url)
        lines = Lines()
        async for raw in answer.content:
            event = lines.take(raw.decode("utf-8", "replace").rstrip("\r\n"))
            if event is not None:
                await hand_over(url, event, position, way, kinds)


async def _admitted(answer: aiohttp.ClientResponse, url: str) -> None:
    if answer.status in FINAL:
        raise Refused("%s answers %d: %s" % (url, answer.status, (await answer.text())[:500]))
    answer.raise_for_status()


async def hand_over(url: str, event: tuple[str, str, str], position: Position, way: Way, kinds: list[str]) -> None:
    """Send an event on its way, then keep its number: killed in between, it is told once more, by the same name."""
    name, seq, data = event
    if name == "record":
        record = json.loads(data)["record"]
        if fits(record["kind"], kinds):
            await way.send(as_event(url, record, seq))
    elif name == "gap" and not position.fresh and fits("gap", kinds):
        await way.send(as_event(url, {"kind": "gap", **json.loads(data)}, seq))
    if seq:
        position.keep(seq, way.late)
        position.fresh = False


def fits(kind: str, kinds: list[str]) -> bool:
    """Tell whether a kind is wanted; ``guest`` means all that begin with it and a dot."""
    return not kinds or any(kind == one or kind.startswith(one + ".") for one in kinds)


def as_event(url: str, record: dict[str, Any], seq: str) -> dict[str, Any]:
    """Return an event as rules see it: the host that it is about, and an id that it has each time it is told."""
    host = record.get("name") or record.get("node")
    known_as = str(uuid.uuid5(uuid.NAMESPACE_URL, "%s%s/%s" % (url, EVENTS, seq)))
    return {
        "nanny": {**inert(record), "seq": int(seq or 0)},
        "meta": {"hosts": [one_host(host)] if host else [], "uuid": known_as},
    }


def one_host(name: str) -> str:
    """Return a name as that of one host; one that Ansible reads as many, or as the controller, is nobody's."""
    return name if HOST.fullmatch(name) and name not in RESERVED else NOBODY


def inert(value: Any) -> Any:
    """Return what was told without the beginning of a template in it."""
    if isinstance(value, dict):
        return {inert(key): inert(one) for key, one in value.items()}
    if isinstance(value, list):
        return [inert(one) for one in value]
    return TEMPLATE.sub(r"\g<0> ", value) if isinstance(value, str) else value


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ValueError("nanny.ops.events: url must be an address such as https://ops.example.com:8443")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("nanny.ops.events: a token must not travel unencrypted; use https")
    return url.rstrip("/")
