"""Usage rolled up: for each object and day, 288 slots of five minutes, kept for ninety days.

One hour of one scope at a time, computed beside the writer and written in small steps. An hour is done twenty minutes
after its end, and again when a reading comes later, so that the same readings always lead to the same slots.
"""

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from nanny_ops.control.services import series
from nanny_ops.control.services.series import NAN, Series
from nanny_ops.control.services.usage import COLUMNS, COUNTERS
from nanny_ops.control.store import usage as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.usage import HOUR, Day, Progress, Raw
from nanny_ops.protocol.clock import micros

SECOND = 1_000_000
SLOT = 300 * SECOND
DAY = 24 * HOUR
SLOTS = DAY // SLOT
#: How long after its end an hour is rolled up, and how far apart two readings may lie for a rate between them.
GRACE, FURTHEST = 1200 * SECOND, 900 * SECOND
#: What a slot holds: the mean of each value, the greatest of these, and the rate of counters in bytes per second.
PEAKS = ("cpu", "mem")
MEANS = tuple(name for name in COLUMNS if name not in {*COUNTERS, "uptime"})
FIELDS = (*MEANS, *(f"{name}_max" for name in PEAKS), *(f"{name}_rate" for name in COUNTERS))
#: Days that one transaction writes.
WRITTEN_AT_ONCE = 100
#: Readings of one hour that are looked at, at most: agents of a hundred nodes every minute.
READINGS = 10_000

Point = tuple[int, Mapping[str, float | None]]


def due(tx: Tx, now: datetime) -> Progress | None:
    """Return what to roll up next, or None when nothing is due."""
    return store.due(tx, micros(now) - GRACE)


def compute(tx: Tx, progress: Progress) -> list[Day]:
    """Return the days that one hour changes."""
    start, teams = progress.done_until, (progress.team_id,)
    raw = store.between(tx, progress.scope, teams, start - FURTHEST, start + HOUR, READINGS)
    points = by_object(raw)
    day = start // DAY
    stored = store.days(tx, progress.scope, teams, day) if points else {}
    rows = []
    for key, told in points.items():
        fresh = dict(slots(told, start, start + HOUR))
        if fresh:
            old = stored.get(key)
            body = series.pack(_with(series.unpack(old) if old is not None else None, fresh), "f")
            rows.append(Day(progress.scope, key, day, progress.team_id, body))
    return rows


def next_hour(tx: Tx, progress: Progress, now: datetime) -> int:
    """Return from where to go on: hours without a reading are passed over."""
    after = progress.done_until + HOUR
    reading = store.next_reading(tx, progress.scope, after)
    last = micros(now) - GRACE
    last -= last % HOUR
    return max(after, min(last, last if reading is None else reading - reading % HOUR))


def steps(rows: Sequence[Day]) -> Iterator[Sequence[Day]]:
    """Yield as many days as one transaction writes."""
    return (rows[start : start + WRITTEN_AT_ONCE] for start in range(0, len(rows), WRITTEN_AT_ONCE))


def by_object(raw: Iterable[Raw]) -> dict[str, list[Point]]:
    """Return the readings of each object, oldest first."""
    found: dict[str, list[Point]] = {}
    for row in raw:
        told = series.unpack(row.body)
        for place, key in enumerate(told.keys):
            found.setdefault(key, []).append((row.at, told.at(place)))
    return {key: sorted(points, key=lambda point: point[0]) for key, points in found.items()}


def slots(points: Sequence[Point], since: int, until: int) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield the start of each slot that has readings, with its values; readings before ``since`` only start rates."""
    inside: dict[int, list[dict[str, float | None]]] = {}
    previous: Point | None = None
    for at, told in points:
        if since <= at < until:
            inside.setdefault(at - at % SLOT, []).append({**told, **rates(previous, (at, told))})
        previous = (at, told)
    for start, readings in sorted(inside.items()):
        yield start, _slot(readings)


def rates(before: Point | None, now: Point) -> dict[str, float | None]:
    """Return how fast each counter grew; nothing where it was reset, or where readings lie too far apart."""
    if before is None or not 0 < now[0] - before[0] <= FURTHEST:
        return {}
    seconds = (now[0] - before[0]) / SECOND
    found: dict[str, float | None] = {}
    for name in COUNTERS:
        old, new = before[1].get(name), now[1].get(name)
        if old is not None and new is not None and new >= old:
            found[f"{name}_rate"] = (new - old) / seconds
    return found


def point_of(stored: Series, slot: int) -> dict[str, float]:
    """Return what a day's slot holds; nothing where it had no reading."""
    return {name: column[slot] for name, column in stored.columns.items() if not math.isnan(column[slot])}


def _slot(readings: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in (*MEANS, *(f"{name}_rate" for name in COUNTERS)):
        values = [value for reading in readings if (value := reading.get(name)) is not None]
        if values:
            found[name] = math.fsum(values) / len(values)
            if name in PEAKS:
                found[f"{name}_max"] = max(values)
    return found


def _with(old: Series | None, fresh: Mapping[int, Mapping[str, float]]) -> Series:
    """Return a day with some slots written anew."""
    columns = {name: array("f", (NAN,)) * SLOTS for name in FIELDS}
    for name, column in (old.columns if old is not None else {}).items():
        columns[name] = array("f", column)
    for start, values in fresh.items():
        slot = start % DAY // SLOT
        for name, column in columns.items():
            column[slot] = values.get(name, NAN)
    return Series([], columns)
