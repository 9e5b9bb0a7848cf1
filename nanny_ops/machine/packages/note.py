"""What a patch script tells beside its list of changes: lines ``nanny-note {"kind": ...}`` of its stdout.

=================  ===================================================================================================
kind               further keys
=================  ===================================================================================================
``left``           name, old_version, version, why: held, kept_back, phased, excluded, conffile or not_upgradable
``conffile``       path of a file that the run laid beside an administrator's own
``lock``           pid, name of who held the package manager's lock when the script gave up
``interrupted``    what was found of a transaction that had been cut short; repaired: true or false
``not_refreshed``  repository whose index could not be fetched
``reboot``         required: true, false or null; why: list of texts
``service``        name of a service that runs on replaced files
``kernel``         running, newest
``system``         id, version, name and, where os-release tells it, support_end: the day after which fixes end
``ended``          how: partial, blocked or quarantined; without it an exit code other than 0 is a failure
=================  ===================================================================================================

Unknown kinds and what cannot be read are passed over, for the script may be newer than this agent or a stranger's.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from nanny_ops.protocol.package_list import plain
from nanny_ops.protocol.patch_report import (
    MOST_LEFT,
    MOST_PATHS,
    Interrupted,
    Left,
    LockHolder,
    PatchReport,
    System,
)

#: What a line of notes begins with.
MARK = b"nanny-note {"
#: Bytes of one note, and how many are looked at.
LONGEST_NOTE, MOST_NOTES = 16 * 1024, 20_000
#: Characters of a name or version, of a path or repository, and of a word.
NAME, PATH, WORD = 255, 4096, 64

Ended = Literal["", "partial", "blocked", "quarantined"]
Record = dict[str, Any]


@dataclass
class Notes:
    """All that one run's notes tell; of kinds that come once the last one counts."""

    left: list[Left] = field(default_factory=list)
    conffiles: list[str] = field(default_factory=list)
    lock: LockHolder | None = None
    interrupted: Interrupted | None = None
    not_refreshed: list[str] = field(default_factory=list)
    reboot_required: bool | None = None
    reboot_why: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    kernel_running: str = ""
    kernel_newest: str = ""
    system: System | None = None
    #: How the script says that it ended, where it has a word that is neither success nor failure.
    ended: Ended = ""

    def report(self) -> PatchReport:
        """Return what goes into the job's report; steps, probes and protection are for others to add."""
        told = {name: value for name, value in vars(self).items() if name != "ended"}
        return PatchReport(**told)


def read(stdout: bytes) -> Notes:
    """Return what the notes in a script's output tell."""
    notes = Notes()
    for record in _records(stdout):
        kind = record.get("kind")
        reader = _READERS.get(kind) if isinstance(kind, str) else None
        if reader is not None:
            reader(notes, record)
    return notes


def _records(stdout: bytes) -> Iterator[Record]:
    seen = 0
    for line in stdout.split(b"\n"):
        if not line.startswith(MARK) or len(line) > LONGEST_NOTE:
            continue
        seen += 1
        if seen > MOST_NOTES:
            return
        try:
            record = json.loads(line[len(MARK) - 1 :].decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            yield record


def _text(record: Record, key: str, longest: int) -> str:
    value = record.get(key)
    return plain(value)[:longest] if isinstance(value, str) else ""


def _left(notes: Notes, record: Record) -> None:
    name = _text(record, "name", NAME)
    if name and len(notes.left) < MOST_LEFT:
        old, new = _text(record, "old_version", NAME), _text(record, "version", NAME)
        notes.left.append(Left(name=name, old_version=old, version=new, why=_text(record, "why", WORD)))


def _lock(notes: Notes, record: Record) -> None:
    pid = record.get("pid")
    if not isinstance(pid, int) or isinstance(pid, bool) or not 0 < pid < 2**31:
        pid = 0
    notes.lock = LockHolder(pid=pid, name=_text(record, "name", NAME))


def _interrupted(notes: Notes, record: Record) -> None:
    notes.interrupted = Interrupted(what=_text(record, "what", PATH), repaired=record.get("repaired") is True)


def _reboot(notes: Notes, record: Record) -> None:
    required, why = record.get("required"), record.get("why")
    notes.reboot_required = required if isinstance(required, bool) else None
    reasons = why if isinstance(why, list) else []
    notes.reboot_why = [plain(one)[:NAME] for one in reasons if isinstance(one, str)][:MOST_PATHS]


def _kernel(notes: Notes, record: Record) -> None:
    notes.kernel_running, notes.kernel_newest = _text(record, "running", NAME), _text(record, "newest", NAME)


def _system(notes: Notes, record: Record) -> None:
    told = {key: _text(record, key, NAME) for key in ("id", "version", "name")}
    notes.system = System(**told, support_end=_text(record, "support_end", WORD))


def _ended(notes: Notes, record: Record) -> None:
    how = record.get("how")
    if how == "partial" or how == "blocked" or how == "quarantined":
        notes.ended = how


def _one_of(attribute: str, key: str, longest: int) -> Callable[[Notes, Record], None]:
    """Return a reader that adds one text to one list, once."""

    def add(notes: Notes, record: Record) -> None:
        found: list[str] = getattr(notes, attribute)
        text = _text(record, key, longest)
        if text and len(found) < MOST_PATHS and text not in found:
            found.append(text)

    return add


_READERS: dict[str, Callable[[Notes, Record], None]] = {
    "left": _left,
    "conffile": _one_of("conffiles", "path", PATH),
    "lock": _lock,
    "interrupted": _interrupted,
    "not_refreshed": _one_of("not_refreshed", "repository", PATH),
    "reboot": _reboot,
    "service": _one_of("services", "name", NAME),
    "kernel": _kernel,
    "system": _system,
    "ended": _ended,
}
