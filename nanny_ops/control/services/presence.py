"""Whether a snapshot or backup is there, as far as the last look at its guest can tell: yes, no, or nobody knows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nanny_ops.control.services.usage import guest_key
from nanny_ops.control.store import snapshot as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.snapshot import LIVING, Snapshot
from nanny_ops.protocol.clock import micros, stamp_micros

#: After this time what was listed says nothing of now: lists are read once an hour.
STALE = timedelta(hours=3)
#: Microseconds that a list must be younger than a snapshot to prove that it is not there: a reading takes up to 90 s.
LAG = 120 * 1_000_000
#: In which part of a report each kind is told.
SECTIONS = {"snapshot": "guest.snapshots", "backup": "guest.backup"}


@dataclass(frozen=True)
class Presence:
    """The answer; ``there`` is None where nobody knows. Instants in microseconds."""

    there: bool | None
    checked_at: int | None = None
    age_seconds: int | None = None
    why: str = ""


@dataclass(frozen=True)
class Looks:
    """When and how well the guests of some scopes were last looked at."""

    lines: Mapping[str, Mapping[tuple[str, str, str], Any]]
    now: int

    @classmethod
    def of(cls, tx: Tx, scopes: Collection[str], now: datetime) -> "Looks":
        """Read what is known of these scopes."""
        return cls({kind: store.looks(tx, scopes, section) for kind, section in SECTIONS.items()}, micros(now))

    def judge(self, row: Snapshot, guest: Any) -> Presence:
        """Say whether one is there; ``guest`` is its guest's row, None where nobody has reported it."""
        if row.state not in LIVING:
            return Presence(False, row.state_at, self._age(row.state_at))
        if guest is None:
            return Presence(None, why=f"No agent has told of guest {row.vmid} yet.")
        if guest.gone_at is not None and row.kind == "snapshot":
            return Presence(False, guest.gone_at, self._age(guest.gone_at), "Its guest is gone, and it with it.")
        line = self._line(row, guest)
        if (told := self._by_its_maker(row, guest, line)) is not None:
            return told
        if line is None or line.at is None:
            return Presence(None, why="" if line is None else line.reason)
        age = self._age(line.at)
        if guest.unknown_since is not None:
            since = stamp_micros(guest.unknown_since)
            return Presence(None, line.at, age, f"Nobody can tell of its guest since {since}.")
        if line.state != "ok" or self.now - line.at > STALE // timedelta(microseconds=1):
            why = line.reason or f"Its guest was last looked at {age // 3600} hours ago."
            return Presence(None, line.at, age, why)
        there = _listed(row, guest.body, line.at) if row.kind == "snapshot" else _newest(row, guest.body, line.at)
        return Presence(there, line.at, age, _HIDDEN if there is None and row.kind == "backup" else "")

    def _by_its_maker(self, row: Snapshot, guest: Any, line: Any) -> Presence | None:
        """Return the word of the order that made it, as long as nobody has looked since."""
        made = row.made_at or row.created_at
        later = line is not None and line.at is not None and line.at > made + LAG
        fresh = self.now - made <= STALE // timedelta(microseconds=1)
        if row.state not in ("kept", "rolled_back") or later or not fresh or guest.unknown_since is not None:
            return None
        return Presence(True, made, self._age(made))

    def _line(self, row: Snapshot, guest: Any) -> Any:
        """Return the line about a guest's own lists; backups are told under their node's name."""
        lines = self.lines[row.kind]
        names = (guest_key(guest.kind, guest.vmid), guest.node, "")
        return next((lines[key] for name in names if (key := (row.scope, guest.reported_by, name)) in lines), None)

    def _age(self, at: int) -> int:
        return max(0, (self.now - at) // 1_000_000)


_HIDDEN = "Of a guest's backups the newest is told, and that is another one."


def _listed(row: Snapshot, body: Mapping[str, Any], at: int) -> bool | None:
    listed = body.get("snapshots")
    if listed is None:
        return None
    if any(one.get("name") == row.name for one in listed):
        return True
    made = row.made_at or row.created_at
    return False if at > made + LAG else None  # a list from before it was made says nothing


def _newest(row: Snapshot, body: Mapping[str, Any], at: int) -> bool | None:
    told = body.get("backup") or {}
    if told.get("last_volume") == row.name:
        return True
    made = row.made_at or row.created_at
    if at <= made + LAG:
        return True
    nothing_newer = told.get("found") is False or (told.get("found") and told.get("last_at", 0) * 1_000_000 < made)
    return False if nothing_newer else None
