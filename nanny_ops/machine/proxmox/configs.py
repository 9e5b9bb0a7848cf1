"""Guests' configurations, read only when they may have changed.

On a node a file's time and size tell. By API nothing does for certain, so three things are watched: the guest's row in
/cluster/resources, tasks that were about it, and a turn that comes to every guest once in twelve cycles.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec

from nanny_ops.errors import ProxmoxError, ProxmoxForbidden, ProxmoxGone
from nanny_ops.machine.proxmox import facts, guest
from nanny_ops.machine.proxmox.ledger import Line, of_error
from nanny_ops.machine.proxmox.pmxcfs import Pmxcfs, Stamp
from nanny_ops.machine.proxmox.sections import Get

#: Cycles in which every configuration has its turn.
TURNS = 12
#: What a row of /cluster/resources tells of a configuration, or of something that applies a pending one.
_WATCHED = ("name", "node", "status", "maxcpu", "maxmem", "maxdisk", "tags", "template", "lock", "pool", "hastate")

#: What is said of a guest that left its node while it was being read.
UNREAD = Line("failed", reason="It left its node while it was being read.")

Entry = Mapping[str, Any]
Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Known:
    """One configuration as JSON; ``mark`` is what must be the same for it to count as unchanged."""

    mark: Any
    conf: bytes
    snapshots: bytes
    line: Line


class Configs:
    """What is known of all guests' configurations."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._known: dict[Key, Known] = {}

    def look(self, rows: Iterable[Entry], files: Pmxcfs, wall: float) -> list[Entry]:
        """Read the files that have changed; return the rows of guests whose files cannot be read."""
        unread = []
        for row in rows:
            kind, vmid, node = str(row["type"]), int(row["vmid"]), str(row["node"])
            try:
                stamp = files.stamp(node, kind, vmid)
                known = self._known.get((kind, vmid))
                if known is not None and stamp.same(known.mark):
                    self._known[kind, vmid] = replace(known, line=Line("ok", wall, "pmxcfs"))
                else:
                    self._read(files, node, kind, vmid, stamp, wall)
            except ProxmoxGone:
                self._known.pop((kind, vmid), None)
            except ProxmoxError:
                unread.append(row)
        return unread

    def calls(
        self, rows: Iterable[Entry], get: Callable[[str], Get], cycle: int, touched: Collection[int]
    ) -> dict[Key, Callable[[], Any]]:
        """Return the calls for the configurations that may have changed."""
        found: dict[Key, Callable[[], Any]] = {}
        for row in rows:
            kind, vmid = str(row["type"]), int(row["vmid"])
            known = self._known.get((kind, vmid))
            same = known is not None and known.mark == _mark(row) and known.line.state in {"ok", "forbidden"}
            if not same or vmid in touched or vmid % TURNS == cycle % TURNS:
                path = f"nodes/{row['node']}/{kind}/{vmid}/config"
                found[kind, vmid] = partial(get(str(row["node"])), path, current=1)
        return found

    def take(self, rows: Iterable[Entry], answers: Mapping[Key, Any], wall: float) -> None:
        """Keep what was answered; an old configuration stays beside an error, but for a privilege that was taken."""
        for row in rows:
            key = str(row["type"]), int(row["vmid"])
            answer = answers.get(key)
            if isinstance(answer, ProxmoxGone):
                self._known.pop(key, None)
            elif isinstance(answer, ProxmoxError):
                last = None if isinstance(answer, ProxmoxForbidden) else self._known.get(key)
                line = of_error(answer, last.line.at if last and last.conf else 0.0)
                self._known[key] = Known(_mark(row), last.conf if last else b"", last.snapshots if last else b"", line)
            elif answer is not None:
                conf = msgspec.json.encode(facts.relevant(key[0], answer))
                self._known[key] = Known(_mark(row), conf, b"", Line("ok", wall))

    def of(self, kind: str, vmid: int) -> tuple[dict[str, Any] | None, list[Any] | None, Line]:
        """Return a guest's configuration and, where a file told them, its snapshots; None is not known."""
        known = self._known.get((kind, vmid))
        if known is None:
            return None, None, UNREAD
        conf = msgspec.json.decode(known.conf) if known.conf else None
        return conf, msgspec.json.decode(known.snapshots) if known.snapshots else None, known.line

    def keep_only(self, keys: Collection[Key]) -> None:
        """Drop what is known of guests that are no longer there."""
        self._known = {key: known for key, known in self._known.items() if key in keys}

    def _read(self, files: Pmxcfs, node: str, kind: str, vmid: int, stamp: Stamp, wall: float) -> None:
        found = files.read(node, kind, vmid)
        entries: Sequence[Entry] = [{"name": name, **section} for name, section in found.snapshots.items()]
        self._known[kind, vmid] = Known(
            stamp,
            msgspec.json.encode(facts.relevant(kind, found.current)),
            msgspec.json.encode(guest.snapshots(entries)),
            Line("ok", wall, "pmxcfs"),
        )


def _mark(row: Entry) -> int:
    return hash(tuple(row.get(name) for name in _WATCHED))
