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
_NODE_PRESSURES = ("pressureiosome", "pressureiofull", "pressurememorysome", "pressurememoryfull")
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


def of_node(node: Node, release: str, times: list[int]) -> list[Row]:
    """Return a node's usage at each instant by which it had run for a whole step; 9.x knows more."""
    since = node.booted + times[1] - times[0]
    return [{"time": time} | (_of_node(node, release, time) if time >= since else {}) for time in times]


def _of_node(node: Node, release: str, time: int) -> Row:
    found: Row = {
        "cpu": node.load / node.cpus * _wave(time),
        "iowait": 0.001 * _wave(time),
        "loadavg": node.load * _wave(time),
        "maxcpu": node.cpus,
        "memtotal": node.memory,
        "memused": node.memory_used * _wave(time),
        "netin": 900 * _wave(time),
        "netout": 700 * _wave(time),
        "roottotal": node.disk,
        "rootused": node.disk_used,
        "swaptotal": 0,
        "swapused": 0,
    }
    if release == "8.4":
        return found
    found |= {"memavailable": node.memory - node.memory_used, "arcsize": 0, "pressurecpusome": 2.0 * _wave(time)}
    return found | dict.fromkeys(_NODE_PRESSURES, 0)


def of_storage(total: int, used: int, times: list[int], since: float) -> list[Row]:
    """Return a storage's usage at each instant since the node was started."""
    return [{"time": time} | ({"total": total, "used": used} if time >= since else {}) for time in times]


def _wave(time: int) -> float:
    """Return a factor that swings gently, so that a picture of usage is no line: two hours long, 20 % high."""
    return 1 + 0.2 * math.sin(time / 7200 * math.tau)


def _at(row: Row, time: int, born: float, since: float) -> Row:
    if time < born:
        return {"time": time}
    found = {"time": time} | {key: row[key] for key in _ALWAYS}
    if time < since:
        return found | {"disk": 0}
    wave = _wave(time)
    return found | {key: row[key] * wave for key in _RUNNING} | {"netin": 37 * wave, "netout": 12 * wave}
