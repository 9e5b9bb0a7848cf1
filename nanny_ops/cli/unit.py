"""How measured values are written for people."""

from collections.abc import Mapping
from typing import Any

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
STEP = 1024


def size(value: float | None) -> str:
    """Write bytes with three digits: ``1.5 GiB``; None is nothing."""
    if value is None:
        return ""
    number, unit = float(value), 0
    while number >= 999.5 and unit < len(UNITS) - 1:
        number, unit = number / STEP, unit + 1
    text = f"{number:.3g}" if unit else f"{number:.0f}"
    return f"{text} {UNITS[unit]}"


def percent(value: float | None) -> str:
    """Write a part of one as percent; None is nothing."""
    return "" if value is None else f"{value * 100:.0f} %"


def rate(value: float | None) -> str:
    """Write bytes per second; None is nothing."""
    return "" if value is None else f"{size(value)}/s"


def share(used: float | None, total: float | None) -> str:
    """Write how much of something is used: ``1.5 GiB (75 %)``; without a total, the number alone."""
    if used is None:
        return ""
    return f"{size(used)} ({percent(used / total)})" if total else size(used)


def release(version: str | None) -> str:
    """Return 8.4.21 of ``pve-manager/8.4.21/2606ac850d46da29``, and anything else as it is."""
    parts = (version or "").split("/")
    return parts[1] if len(parts) == 3 else version or ""


def trouble(parts: Mapping[str, int] | None) -> str:
    """Write how many parts are not known: ``2 forbidden``."""
    return ", ".join(f"{count} {state}" for state, count in sorted((parts or {}).items()))


def measured(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with what its reading of usage says; of one whose status is unknown that is not what is now."""
    used = row.get("usage") or {}
    unknown = row.get("status") == "unknown"
    told = {} if unknown or row.get("status") == "stopped" else used
    return {
        **row,
        "since": row.get("unknown_since") if unknown else row.get("state_since"),
        "cpu": percent(told.get("cpu")),
        "memory": share(told.get("mem"), told.get("maxmem")),
        "disk": share(told.get("disk"), told.get("maxdisk")),
        "not_known": trouble(row.get("trouble")),
    }
