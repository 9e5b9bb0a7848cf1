"""How well each part of a reading is known, one line per exception: nothing that is unknown passes for well."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from nanny_ops.errors import ProxmoxError, ProxmoxForbidden
from nanny_ops.protocol.clock import stamp

#: Lines that one reading may have.
LINES = 2000
#: Different reasons of one section that are told apart; with more, the commonest state's oldest line speaks for all.
REASONS = 50


@dataclass(frozen=True, slots=True)
class Line:
    """The state of one thing of one section; ``at`` in seconds since 1970, 0 where it was never read."""

    state: str
    at: float = 0.0
    source: str = "api"
    privilege: str = ""
    reason: str = ""

    def unasked(self, reason: str) -> "Line":
        """Return the line for something that cannot be asked now: what was read is stale, what was not has failed."""
        if self.state == "ok":
            return replace(self, state="stale", reason=reason)
        return replace(self, reason=reason) if self.state == "failed" else self


def of_error(wrong: ProxmoxError, at: float = 0.0) -> Line:
    """Return the line for something that could not be read now; ``at`` is when it was, if it ever was."""
    if isinstance(wrong, ProxmoxForbidden):
        return Line("forbidden", at, privilege=str(wrong.details.get("privilege", "")), reason=wrong.message[:1000])
    return Line("stale" if at else "failed", at, reason=wrong.message[:1000])


class Ledger:
    """The lines of one reading."""

    def __init__(self) -> None:
        """Begin empty: what has no line was not asked for."""
        self._lines: dict[str, dict[str, Line]] = {}

    def note(self, section: str, thing: str, line: Line) -> None:
        """Write down how well a thing is known; an empty one is the section as a whole."""
        self._lines.setdefault(section, {})[thing] = line

    def facts(self) -> list[dict[str, Any]]:
        """Return the wire's facts: what most things of a section have in common becomes the section's own line."""
        found: list[dict[str, Any]] = []
        for section, lines in sorted(self._lines.items()):
            found += _rolled_up(section, lines)
        return found[:LINES]

    def problems(self) -> list[str]:
        """Return one sentence for each reason why something is not known, for the log."""
        found: dict[str, None] = {}
        for section, lines in sorted(self._lines.items()):
            alike: dict[tuple[str, ...], list[str]] = {}
            for line in lines.values():
                if line.state not in {"ok", "absent"} and line.reason:
                    alike.setdefault(_kind(line), []).append(line.reason)
            for reasons in alike.values():
                more = f" ({len(reasons)} times in {section})" if len(reasons) > 1 else ""
                found[reasons[0] + more] = None
        return list(found)[:100]


def _rolled_up(section: str, lines: dict[str, Line]) -> list[dict[str, Any]]:
    kind = _kind_and_reason if len({line.reason for line in lines.values()}) <= REASONS else _kind
    alike = Counter(kind(line) for thing, line in lines.items() if thing)
    if "" in lines or not alike:
        return [_fact(section, thing, line) for thing, line in sorted(lines.items())]
    common, _ = alike.most_common(1)[0]
    same = [line for line in lines.values() if kind(line) == common]
    others = [(thing, line) for thing, line in sorted(lines.items()) if kind(line) != common]
    oldest = min(same, key=lambda line: line.at)
    return [_fact(section, "", oldest), *(_fact(section, thing, line) for thing, line in others)]


def _kind(line: Line) -> tuple[str, ...]:
    return line.state, line.source, line.privilege


def _kind_and_reason(line: Line) -> tuple[str, ...]:
    return (*_kind(line), line.reason)


def _fact(section: str, thing: str, line: Line) -> dict[str, Any]:
    return {
        "section": section,
        "object": thing,
        "state": line.state,
        "source": line.source,
        "at": stamp(datetime.fromtimestamp(line.at, UTC)) if line.at else "",
        "privilege": line.privilege,
        "reason": line.reason,
    }
