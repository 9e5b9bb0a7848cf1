"""What was read of the slower sections, when it is due again, and how well it is known meanwhile."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec

from nanny_ops.errors import ProxmoxError, ProxmoxGone
from nanny_ops.machine.proxmox.ledger import Ledger, Line, of_error
from nanny_ops.machine.proxmox.rights import Rights
from nanny_ops.machine.proxmox.sections import ABSENT, HOUR, Get, Section, Subject

#: Seconds after which something that failed is asked again, and something that is not there.
AGAIN, ABSENT_AGAIN = 300.0, 6 * HOUR

#: Said of what another release of Proxmox VE has, or had.
_NOT_IMPLEMENTED = 501

Turn = tuple[Section, Subject]
UNREAD = Line("failed", reason="Not read yet; its turn comes.")

#: Something that was kept: its section's name and its subject's.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Kept:
    """The last answer, as JSON to be small; ``tried`` is by the clock that does not go back."""

    value: bytes
    line: Line
    tried: float


class Keeper:
    """The slower facts of everything that one reader reads."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._kept: dict[Key, Kept] = {}

    def due(self, wanted: Iterable[Turn], now: float) -> list[Turn]:
        """Return what is to be read now, what has waited longest first."""
        found = [(self._waited(section, subject, now), section, subject) for section, subject in wanted]
        due = [one for one in found if one[0] >= 0]
        return [(section, subject) for _, section, subject in sorted(due, key=lambda one: -one[0])]

    def calls(
        self,
        due: Iterable[Turn],
        get: Callable[[str], Get],
        rights: Rights,
        release: str,
        now: float,
    ) -> dict[Turn, Callable[[], Any]]:
        """Return the calls for what is due; what the token may not see is noted instead of asked."""
        calls: dict[Turn, Callable[[], Any]] = {}
        for section, subject in due:
            missing, place = section.lacks(subject, rights, release)
            if missing:
                reason = f"The API token lacks {missing} on {place}."
                self._set(section, subject, Kept(b"", Line("forbidden", privilege=missing, reason=reason), now))
            else:
                calls[section, subject] = partial(section.read, get(subject.node), subject)
        return calls

    def take(self, answers: Mapping[Turn, Any], tick: float, wall: float) -> None:
        """Keep what was answered; beside an error the last good answer stays, and is stale."""
        for (section, subject), answer in answers.items():
            if isinstance(answer, ProxmoxGone):
                self._kept.pop((section.name, subject.name), None)
            elif isinstance(answer, ProxmoxError):
                self._fail(section, subject, answer, tick, wall)
            else:
                self._set(section, subject, Kept(msgspec.json.encode(answer), Line("ok", wall), tick))

    def told(self, ledger: Ledger, section: Section, subject: Subject, *, silent: str = "") -> dict[str, Any]:
        """Return the fields that are known, and note in the ledger how well; ``silent`` says why nobody can ask now."""
        line = self.line(section, subject)
        ledger.note(section.name, subject.name, line.unasked(silent) if silent else line)
        kept = self._kept.get((section.name, subject.name))
        found: dict[str, Any] = msgspec.json.decode(kept.value) if kept is not None and kept.value else {}
        return found

    def line(self, section: Section, subject: Subject) -> Line:
        """Return how well something is known."""
        kept = self._kept.get((section.name, subject.name))
        return UNREAD if kept is None else kept.line

    def has(self, section: Section, subject: Subject) -> bool:
        """Tell whether there is an answer to tell."""
        kept = self._kept.get((section.name, subject.name))
        return kept is not None and bool(kept.value)

    def forget(self, section: Section, subject: str) -> None:
        """Let something be read again in the next turn, and tell the old answer until then."""
        key = (section.name, subject)
        if key in self._kept:
            self._kept[key] = replace(self._kept[key], tried=float("-inf"))

    def keep_only(self, names: set[str]) -> None:
        """Drop what is kept of subjects that are no longer there."""
        self._kept = {key: kept for key, kept in self._kept.items() if key[1] in names}

    def _waited(self, section: Section, subject: Subject, now: float) -> float:
        """Return for how many seconds something has been due; negative: not yet."""
        kept = self._kept.get((section.name, subject.name))
        if kept is None:
            return float("inf")
        state = kept.line.state
        pause = {"absent": ABSENT_AGAIN, "forbidden": HOUR, "ok": section.every}.get(state, min(AGAIN, section.every))
        return now - kept.tried - pause

    def _fail(self, section: Section, subject: Subject, wrong: ProxmoxError, tick: float, wall: float) -> None:
        if wrong.details.get("status") == _NOT_IMPLEMENTED or ABSENT.search(str(wrong.details.get("reason", ""))):
            self._set(section, subject, Kept(b"", Line("absent", wall, reason=wrong.message[:1000]), tick))
            return
        last = self._kept.get((section.name, subject.name))
        value, at = (last.value, last.line.at) if last is not None else (b"", 0.0)
        line = of_error(wrong, at if value else 0.0)
        self._set(section, subject, Kept(b"" if line.state == "forbidden" else value, line, tick))

    def _set(self, section: Section, subject: Subject, kept: Kept) -> None:
        self._kept[section.name, subject.name] = kept
