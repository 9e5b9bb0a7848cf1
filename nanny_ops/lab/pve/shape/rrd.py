"""Usage over time: which instants the round-robin files tell, and what stands at each."""

import math
from typing import Any

from nanny_ops.lab.pve.shape.guest import Row, guest_resource
from nanny_ops.lab.pve.state.guest import Guest, Reading
from nanny_ops.lab.pve.state.node import Node

#: Time frame -> seconds between two instants, and how many of them; the files of 8.x, then those since 9.0.
_FRAMES_8 = {"hour": (60, 70), "day": (1800, 70), "week": (10_800, 70), "month": (43_200, 70), "year": (604_800, 70)}
_FRAMES_9 = {
    "hour": (60, 60),
    "day": (60, 1440),
    "week": (1800, 336),
    "month": (1800, 1440),
    "year": (21_600, 1460),
    "decade": (604_800, 520),
}
#: What is known of a guest that does not run, and what only of one that does.
_ALWAYS = ("disk", "maxcpu", "maxdisk", "maxmem")
_RUNNING = ("cpu", "diskread", "diskwrite", "mem", "netin", "netout")


def instants(release: str, frame: str, now: float) -> list[int]:
    """Return the instants of a time frame, in seconds of the epoch, the last one before ``now``."""
    step, count = (_FRAMES_8 if release == "8.4" else _FRAMES_9)[frame]
    last = int(now) // step * step
    return [last - step * back for back in reversed(range(count))]


def of_guest(guest: Guest, reading: Reading, node: Node, times: list[int], now: float) -> list[dict[str, Any]]:
    """Return a guest's usage at each instant: none before it existed, little before it was started."""
    row = guest_resource(guest, reading, "8.4", node)
    since = now - reading.uptime if reading.running else math.inf
    return [_at(row, time, guest.born, since) for time in times]


def _at(row: Row, time: int, born: float, since: float) -> Row:
    if time < born:
        return {"time": time}
    found = {"time": time} | {key: row[key] for key in _ALWAYS}
    if time < since:
        return found | {"disk": 0}
    # A gentle wave, so that a picture of it is no line: two hours long, 20 % high.
    wave = 1 + 0.2 * math.sin(time / 7200 * math.tau)
    return found | {key: row[key] * wave for key in _RUNNING} | {"netin": 37 * wave, "netout": 12 * wave}
