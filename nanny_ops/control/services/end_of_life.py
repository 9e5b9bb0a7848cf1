"""Until when a distribution gets fixes, by its release.

The days are those that the distributions themselves have announced, looked up on 2026-11-22; long-term support that
costs nothing counts, what is sold does not. A system that tells its own end in os-release is believed.
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from nanny_ops.protocol.patch_report import System

State = Literal["supported", "ending", "ended", "rolling", "unknown"]
#: How long before its end a system counts as ending.
NOTICE = timedelta(days=90)
#: Distributions without releases: they are supported as long as they are up to date.
ROLLING = frozenset({"arch", "manjaro", "endeavouros", "opensuse-tumbleweed", "opensuse-slowroll", "gentoo", "void"})
ENDS: dict[str, dict[str, str]] = {
    "debian": {"10": "2024-06-30", "11": "2026-08-31", "12": "2028-06-30", "13": "2030-06-30"},
    "ubuntu": {
        "18.04": "2023-05-31",
        "20.04": "2025-05-31",
        "22.04": "2027-04-01",
        "24.04": "2029-05-31",
        "24.10": "2025-07-10",
        "25.04": "2026-01-17",
        "25.10": "2026-07-01",
        "26.04": "2031-04-30",
    },
    "alpine": {
        "3.17": "2024-11-22",
        "3.18": "2025-05-09",
        "3.19": "2025-11-01",
        "3.20": "2026-04-01",
        "3.21": "2026-11-01",
        "3.22": "2027-05-01",
        "3.23": "2027-11-01",
    },
    "fedora": {"40": "2025-05-13", "41": "2025-12-15", "42": "2026-05-13"},
    "centos": {"7": "2024-06-30", "8": "2021-12-31", "9": "2027-05-31"},
    "rhel": {"7": "2024-06-30", "8": "2029-05-31", "9": "2032-05-31", "10": "2035-05-31"},
    "rocky": {"8": "2029-05-31", "9": "2032-05-31", "10": "2035-05-31"},
    "almalinux": {"8": "2029-05-31", "9": "2032-05-31", "10": "2035-05-31"},
    "opensuse-leap": {"15.5": "2024-12-31", "15.6": "2026-04-30"},
}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class EndOfLife:
    """How a system stands, and its last day with fixes, ISO 8601; empty where it has none or nobody knows it."""

    state: State
    day: str = ""


def judge(system: System | None, today: date) -> EndOfLife:
    """Say how a system stands today; what is in no table is unknown, and not taken for supported."""
    if system is None or not system.id:
        return EndOfLife("unknown")
    if system.id in ROLLING:
        return EndOfLife("rolling")
    day = system.support_end if _DAY.fullmatch(system.support_end) else _tabled(system)
    try:
        end = date.fromisoformat(day)
    except ValueError:
        return EndOfLife("unknown")
    if end < today:
        return EndOfLife("ended", day)
    return EndOfLife("ending" if end - today <= NOTICE else "supported", day)


def _tabled(system: System) -> str:
    """Find a release by the longest beginning of its version: 3.22.1 is 3.22, and 9.4 is 9."""
    words = system.version.split(".")
    known = ENDS.get(system.id, {})
    return next((known[name] for n in range(len(words), 0, -1) if (name := ".".join(words[:n])) in known), "")
