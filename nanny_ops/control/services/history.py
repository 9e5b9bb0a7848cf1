"""Usage over time: raw for two days, in slots of five minutes for ninety, and coarser ones made of these."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from nanny_ops.control.services import fleet, rollup, series
from nanny_ops.control.services.metrics import between
from nanny_ops.control.services.rollup import DAY, SLOT, SLOTS
from nanny_ops.control.store import usage as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.usage import HOUR
from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol.clock import micros, stamp_micros

Resolution = Literal["raw", "5min", "1h", "1d"]
WIDTHS: dict[str, int] = {"5min": SLOT, "1h": HOUR, "1d": DAY}
#: How far back each resolution goes where nobody says, in microseconds.
USUAL: dict[str, int] = {"raw": 2 * HOUR, "5min": DAY, "1h": 7 * DAY, "1d": 90 * DAY}
#: Points of one answer, and raw readings looked at for it.
POINTS, READINGS = 2000, 20_000
#: How long slots are kept.
ROLLED_DAYS = 90


@dataclass(frozen=True)
class Asked:
    """Whose usage, from when to when (microseconds), in which steps."""

    scope: str
    key: str
    team_id: str
    since: int
    until: int
    resolution: Resolution


def asked(thing: fleet.Measured, resolution: Resolution, since: str | None, until: str | None, now: datetime) -> Asked:
    """Return what is asked for. Raises ValidationFailed for an impossible stretch of time."""
    first, last = between(since, until)
    end = min(last if last is not None else micros(now), micros(now))
    begin = first if first is not None else end - USUAL[resolution]
    if begin >= end:
        raise ValidationFailed("since: It must lie before 'until' and before now.", field="since")
    # Before the guest was there, another one may have had its number.
    begin = max(begin, thing.created_at - SLOT, micros(now) - (ROLLED_DAYS + 1) * DAY)
    return Asked(thing.scope, fleet.object_of(thing), thing.team_id, begin, end, resolution)


def read(tx: Tx, what: Asked) -> dict[str, Any]:
    """Return the newest points of a stretch of time, oldest first; ``truncated`` where there is more before them."""
    points = list(_raw(tx, what) if what.resolution == "raw" else _rolled(tx, what))
    shown = points[-POINTS:]
    return {
        "object": what.key,
        "resolution": what.resolution,
        "since": stamp_micros(what.since),
        "until": stamp_micros(what.until),
        "truncated": len(points) > POINTS,
        "points": [{"at": stamp_micros(at), **_shown(values)} for at, values in shown],
    }


def _raw(tx: Tx, what: Asked) -> Iterator[tuple[int, Mapping[str, float | None]]]:
    before: rollup.Point | None = None
    for at, told in _readings(tx, what, what.since - rollup.FURTHEST):
        if at >= what.since:
            yield at, {**told, **rollup.rates(before, (at, told))}
        before = (at, told)


def _readings(tx: Tx, what: Asked, since: int) -> list[rollup.Point]:
    """Return an object's raw readings, oldest first."""
    found: list[rollup.Point] = []
    for row in store.between(tx, what.scope, (what.team_id,), since, what.until, READINGS):
        told = series.unpack(row.body)
        if what.key in told.keys:
            found.append((row.at, told.at(told.keys.index(what.key))))
    return sorted(found, key=lambda point: point[0])


def _rolled(tx: Tx, what: Asked) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Yield slots, joined where coarser ones are asked for; what is not rolled up yet is, for this answer alone."""
    width = WIDTHS[what.resolution]
    gathered: list[Mapping[str, float]] = []
    current = 0
    for at, values in _slots(tx, what):
        start = at - at % width
        if gathered and start != current:
            yield current, _joined(gathered)
            gathered = []
        current = start
        gathered.append(values)
    if gathered:
        yield current, _joined(gathered)


def _slots(tx: Tx, what: Asked) -> Iterator[tuple[int, Mapping[str, float]]]:
    since = what.since - what.since % WIDTHS[what.resolution]
    progress = store.progress(tx, what.scope)
    done = progress.done_until if progress is not None else since
    days = store.days_of(tx, what.scope, (what.team_id,), what.key, since // DAY, what.until // DAY)
    for day, body in sorted(days.items()):
        stored = series.unpack(body)
        for slot in range(SLOTS):
            at = day * DAY + slot * SLOT
            if since <= at < min(what.until, done) and (values := rollup.point_of(stored, slot)):
                yield at, values
    fresh = max(since, done)
    if fresh < what.until:
        yield from rollup.slots(_readings(tx, what, fresh - rollup.FURTHEST), fresh, what.until)


def _joined(parts: list[Mapping[str, float]]) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for name in rollup.FIELDS:
        values = [part[name] for part in parts if name in part]
        if values:
            found[name] = max(values) if name.endswith("_max") else sum(values) / len(values)
    return found


def _shown(values: Mapping[str, float | None]) -> dict[str, float]:
    """Return what is known, with the digits that mean something."""
    return {
        name: float(f"{value:.7g}") if value % 1 else int(value) for name, value in values.items() if value is not None
    }
