"""What this machine's owner allows; the control plane cannot widen it."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from nanny_ops.errors import SettingsError
from nanny_ops.machine.times import Times
from nanny_ops.machine.times import parse as parse_times

HOST = "host"
#: Who must have signed a script: anybody whose key is trusted, or only keys that do not lie on the control plane.
ANY_KEY, OFFLINE = "control-plane", "offline"
#: Keys that may be asked to agree, at most.
MOST_SIGNERS = 16


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Allowed modes, targets (``host`` or a guest's number) and scripts (SHA-256); None allows all of a kind.

    ``signatures`` says whose signatures count, :data:`ANY_KEY` or :data:`OFFLINE`, ``threshold`` how many different
    keys must have signed. Empty means :data:`ANY_KEY` where keys are known, and nothing where none ever were.
    ``times`` says when a change may begin, by the wall clock of ``time_zone`` (empty: this machine's); dry runs may at
    any time unless ``dry_runs_anytime`` is false.
    """

    modes: frozenset[str] | None = None
    targets: frozenset[str] | None = None
    scripts: frozenset[str] | None = None
    signatures: str = ""
    threshold: int = 1
    times: Times | None = None
    time_zone: str = ""
    dry_runs_anytime: bool = True

    @property
    def demands_signatures(self) -> bool:
        """Tell whether the owner wrote down that scripts must be signed."""
        return bool(self.signatures) or self.threshold > 1

    def refuses(self, *, mode: str, target: str, sha256: str) -> str:
        """Return the sentence that says what is forbidden; empty when nothing is."""
        if self.modes is not None and mode not in self.modes:
            return f"The local policy does not allow the mode {mode}."
        if self.targets is not None and target not in self.targets:
            return f"The local policy does not allow the target {target}."
        if self.scripts is not None and sha256 not in self.scripts:
            return f"The local policy does not allow the script with SHA-256 {sha256}."
        return ""

    def mistimed(self, now: datetime, *, dry_run: bool) -> str:
        """Return the sentence that says why nothing may begin now, and from when on; empty when it may."""
        if self.times is None or (dry_run and self.dry_runs_anytime) or self.times.allow(now):
            return ""
        change = self.times.change(now)
        then = f"next from {change.isoformat(timespec='minutes')} on" if change is not None else "not in two weeks"
        what = "this" if dry_run else "a change"
        return f"The local policy does not let {what} begin now: it allows {self.times}, {then}."


def load(path: str) -> Policy:
    """Read a TOML file whose keys are those of :class:`Policy`. Raises SettingsError."""
    if not path:
        return Policy()
    try:
        table = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as wrong:
        raise SettingsError(f"The policy file {path} cannot be read: {wrong}") from wrong
    known = {one.name for one in fields(Policy)}
    for key in table:
        if key not in known:
            raise SettingsError(f"'{key}' in {path} is not part of a policy; use {', '.join(sorted(known))}.")
    values = {key: _read(path, key, value) for key, value in table.items()}
    if "times" in values:
        values["times"] = _times(path, values["times"], values.get("time_zone", ""))
    elif "time_zone" in values:
        raise SettingsError(f"'time_zone' in {path} says nothing without 'times'.")
    return Policy(**values)


def _times(path: str, texts: list[str], zone: str) -> Times:
    try:
        return parse_times(texts, zone)
    except SettingsError as wrong:
        raise SettingsError(f"'times' in {path}: {wrong.message}") from wrong


def _read(path: str, key: str, value: Any) -> Any:
    reader: Callable[[str, str, Any], Any] = _READERS.get(key, _words)
    return reader(path, key, value)


def _mode(path: str, key: str, value: Any) -> str:
    if value not in (ANY_KEY, OFFLINE):
        raise SettingsError(f'\'{key}\' in {path} must be "{ANY_KEY}" or "{OFFLINE}".')
    return str(value)


def _count(path: str, key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_SIGNERS:
        raise SettingsError(f"'{key}' in {path} must be a whole number from 1 to {MOST_SIGNERS}.")
    return value


def _text(path: str, key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"'{key}' in {path} must be a text.")
    return value


def _texts(path: str, key: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise SettingsError(f"'{key}' in {path} must be a list of texts.")
    return value


def _yes(path: str, key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise SettingsError(f"'{key}' in {path} must be true or false.")
    return value


def _words(path: str, key: str, value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(one, str | int) for one in value):
        raise SettingsError(f"'{key}' in {path} must be a list of texts or numbers.")
    words = frozenset(str(one).lower() for one in value)
    shape, example = _SHAPES[key]
    for word in sorted(words):
        if not shape.fullmatch(word):
            raise SettingsError(f"'{key}' in {path} does not know '{word}'; write {example}.")
    return words


#: What the words of a list look like. One that could never fit would forbid what its owner meant to allow.
_SHAPES = {
    "modes": (re.compile("dry-run|apply"), '"dry-run" or "apply"'),
    "targets": (re.compile(f"{HOST}|[1-9][0-9]{{0,8}}"), f'"{HOST}" or the number of a guest'),
    "scripts": (re.compile("[0-9a-f]{64}"), "the SHA-256 of a script, in hex"),
}
_READERS: dict[str, Callable[[str, str, Any], Any]] = {
    "signatures": _mode,
    "threshold": _count,
    "times": _texts,
    "time_zone": _text,
    "dry_runs_anytime": _yes,
}
