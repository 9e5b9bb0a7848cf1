"""Whether an answer is like the recorded one: status, reason, error texts, and the shape of its JSON."""

import re
from collections.abc import Iterator
from typing import Any

#: What tells rows of a list apart, in this order of preference.
IDENTITIES = (
    "id",
    "vmid",
    "roleid",
    "userid",
    "tokenid",
    "storage",
    "poolid",
    "realm",
    "subdir",
    "service",
    "iface",
    "key",
    "name",
)
#: Keys whose values must be equal, not only of one type, in rows that are told apart or in single objects.
EXACT = frozenset(
    {
        *("status", "lock", "template", "tags", "hasFeature", "type", "vmid", "node", "roleid", "userid", "tokenid"),
        *("storage", "poolid", "realm", "quorate", "online", "level", "local", "enabled", "enable", "special", "privs"),
        *("shared", "plugintype", "pool", "name", "hostname", "privsep", "propagate", "exitstatus", "exited"),
        *("exitcode", "signal", "parent", "protection", "comment", "release", "version", "repoid", "state"),
    }
)
#: What differs from one time to the next in a sentence.
_VOLATILE = re.compile(r"(?<=\.conf\.tmp\.)\d+|(?<=UPID:)\S+")
_DIGITS = re.compile(r"-?\d+(?:\.\d+)?")


def sentence(text: str) -> str:
    """Return a sentence without what differs each time."""
    return _VOLATILE.sub("N", text)


def differences(recorded: Any, ours: Any, added: frozenset[Any] = frozenset()) -> list[str]:
    """Return how one body's JSON differs from the recorded one.

    ``added`` are identities of rows that may stand in our lists beside the recorded ones.
    """
    return list(_differ(recorded, ours, "", added))


def _differ(recorded: Any, ours: Any, where: str, added: frozenset[Any]) -> Iterator[str]:
    if isinstance(recorded, dict) and isinstance(ours, dict):
        yield from _objects([recorded], [ours], where, added)
    elif isinstance(recorded, list) and isinstance(ours, list):
        yield from _lists(recorded, ours, where, added)
    elif (wanted := _kind(recorded)) != (found := _kind(ours)):
        yield f"{where}: {wanted} recorded, {found} answered"


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "digits as text" if _DIGITS.fullmatch(value) else "text"
    names = {bool: "boolean", int: "number", float: "number", list: "list", dict: "object", type(None): "null"}
    return names[type(value)]


def _objects(recorded: list[Any], ours: list[Any], where: str, added: frozenset[Any]) -> Iterator[str]:
    """Compare objects of one meaning: a key that not all recorded ones have is optional."""
    if len(recorded) == len(ours) == 1:
        yield from _values(recorded[0], ours[0], where)
    known = {key for row in recorded for key in row}
    always = {key for key in known if all(key in row for row in recorded)}
    for row in ours:
        if missing := always - row.keys():
            yield f"{where}: lacks {sorted(missing)}"
        if strange := row.keys() - known:
            yield f"{where}: has {sorted(strange)}, never recorded"
    for key in sorted(known):
        yield from _column(
            [r[key] for r in recorded if key in r], [r[key] for r in ours if key in r], f"{where}.{key}", added
        )


def _column(recorded: list[Any], ours: list[Any], where: str, added: frozenset[Any]) -> Iterator[str]:
    """Compare all values of one key."""
    kinds = {_kind(value) for value in recorded}
    if wrong := {_kind(value) for value in ours} - kinds:
        if not (kinds | wrong <= {"text", "digits as text"} and "text" in kinds):
            yield f"{where}: {sorted(kinds)} recorded, {sorted(wrong)} answered"
        return
    if kinds == {"object"} and ours:
        yield from _objects(recorded, ours, where, added)
    if kinds == {"list"} and ours:
        yield from _lists([x for rows in recorded for x in rows], [x for rows in ours for x in rows], where, added)


def _lists(recorded: list[Any], ours: list[Any], where: str, added: frozenset[Any]) -> Iterator[str]:
    if bool(recorded) != bool(ours) and not (ours and all(_names(row) & added for row in ours)):
        yield f"{where}: {len(recorded)} rows recorded, {len(ours)} answered"
    if not recorded or not ours:
        return
    kinds, found = {_kind(row) for row in recorded}, {_kind(row) for row in ours}
    if kinds != found and not (kinds | found <= {"text", "digits as text"}):
        yield f"{where}: rows of {sorted(kinds)} recorded, {sorted(found)} answered"
    elif kinds == {"object"}:
        if all(len(row) == 1 and isinstance(next(iter(row.values())), str) for row in recorded):
            wanted, answered = ({str(next(iter(row.values()))) for row in rows} for rows in (recorded, ours))
            if wanted != answered:
                yield f"{where}: {sorted(wanted - answered)} missing, {sorted(answered - wanted)} too many"
        identity = next((key for key in IDENTITIES if all(key in row for row in recorded)), "")
        if "metric" in recorded[0]:
            recorded, ours = (
                [{**row, "id": f"{row['id']} {row['metric']}"} for row in rows] for rows in (recorded, ours)
            )
        if identity and not {"upid", "msg"} & recorded[0].keys():
            yield from _rows(recorded, ours, identity, where, added)
        else:
            yield from _objects(recorded, ours, where, added)


def _names(row: Any) -> frozenset[Any]:
    return frozenset(row.get(key) for key in IDENTITIES) if isinstance(row, dict) else frozenset({row})


def _rows(recorded: list[Any], ours: list[Any], identity: str, where: str, added: frozenset[Any]) -> Iterator[str]:
    wanted = {str(row[identity]) for row in recorded}
    by_name = {str(row.get(identity)): row for row in ours}
    allowed = {str(name) for name in added}
    if wanted - by_name.keys():
        yield f"{where}: rows {sorted(wanted - by_name.keys())} are missing"
    if more := {name for name in by_name.keys() - wanted if name.split(" ")[0] not in allowed}:
        yield f"{where}: rows {sorted(more)} are too many"
    kinds = {row.get("type") for row in recorded} if all("type" in row for row in recorded) else {None}
    for kind in sorted(kinds, key=str):
        of_kind = [row for row in recorded if kind in (None, row.get("type"))]
        yield from _objects(
            of_kind, [r for r in ours if kind in (None, r.get("type"))], f"{where}[{kind or ''}]", added
        )
    for row in recorded:
        if other := by_name.get(str(row[identity])):
            yield from _values(row, other, f"{where}[{row[identity]}]")


def _values(recorded: dict[str, Any], ours: dict[str, Any], where: str) -> Iterator[str]:
    if where.endswith("current-kernel"):
        return  # it was that of the host, and is replaced in the recordings
    for key in sorted(EXACT & recorded.keys() | EXACT & ours.keys()):
        wanted, found = recorded.get(key), ours.get(key)
        if isinstance(wanted, (str, int, type(None))) and wanted != found:
            yield f"{where}.{key}: {wanted!r} recorded, {found!r} answered"
