"""One thing with everything that is known of it, and how well."""

from collections.abc import Mapping
from typing import Any

from nanny_ops.cli.table import Column, age, show, show_one
from nanny_ops.cli.unit import percent, share, size

#: What is told on lines of its own, not among the fields.
APART = ("known", "reported", "usage", "trouble")
#: Instants that a person wants as ages.
AGES = frozenset(
    {"updated_at", "created_at", "state_since", "unknown_since", "moved_at", "gone_at", "full_since", "started_at"}
)
BYTES = frozenset({"used", "total"})
KNOWN: dict[str, Column] = {"part": "section", "state": "state", "read": ("at", age), "from": "source", "why": "why"}


def show_detail(row: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a thing: what it is, what it uses, what was told of it, and how well each part is known."""
    if as_json:
        show_one(row, as_json=True)
        return
    own = {key: value for key, value in row.items() if key not in APART}
    show_one({key: _written(key, value) for key, value in own.items() if not _is_said(row, key)}, as_json=False)
    _section("Usage", _usage(row.get("usage") or {}))
    told = {key: value for key, value in (row.get("reported") or {}).items() if key not in own}
    _section("Told by its agent", told)
    known = [{**line, "why": _why(line)} for line in row.get("known") or []]
    if known:
        print()
        show(known, KNOWN, as_json=False, title="How well it is known")


def _written(key: str, value: Any) -> Any:
    if key in AGES:
        return age(value)
    return size(value) if key in BYTES else percent(value) if key == "used_fraction" else value


def _is_said(row: Mapping[str, Any], key: str) -> bool:
    """Tell whether another field says the same to a person."""
    return key == "freshness_seconds" or (key == "last_status" and row[key] == row.get("status"))


def _section(title: str, fields: Mapping[str, Any]) -> None:
    if any(value not in (None, "", [], {}) for value in fields.values()):
        print(f"\n{title}")
        show_one(fields, as_json=False)


def _usage(told: Mapping[str, float]) -> dict[str, str]:
    return {
        "cpu": percent(told.get("cpu")),
        "cpus": f"{told['cpus']:g}" if "cpus" in told else "",
        "memory": share(told.get("mem"), told.get("maxmem")),
        "disk": share(told.get("disk"), told.get("maxdisk")),
        "received": size(told.get("netin")),
        "sent": size(told.get("netout")),
        "read": size(told.get("diskread")),
        "written": size(told.get("diskwrite")),
        "load": f"{told['load']:.2f}" if "load" in told else "",
    }


def _why(line: Mapping[str, Any]) -> str:
    """Return what is missing: a privilege, or the reason that the agent was given."""
    needs = f"needs {line['privilege']}" if line.get("privilege") else ""
    return ": ".join(text for text in (needs, line.get("reason") or "") if text)
