"""What this machine's owner allows; the control plane cannot widen it."""

import re
import tomllib
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from nanny_ops.errors import SettingsError
from nanny_ops.machine.times import Times
from nanny_ops.machine.times import parse as parse_times
from nanny_ops.protocol.policy import PolicyReport

HOST = "host"
#: Where the owner writes it unless a setting names another file.
DEFAULT_FILE = Path("/etc/nanny-ops/policy.toml")
#: Kinds of operations.
PATCH, REBOOT, UPDATE, INVESTIGATION, PRUNE = "patch", "reboot", "update", "investigation", "prune"
#: What a policy allows that does not say: an owner who wrote one before there were others has not allowed those.
USUAL_OPERATIONS = frozenset({PATCH, INVESTIGATION})
#: Who must have signed a script: anybody whose key is trusted, or only keys that do not lie on the control plane.
ANY_KEY, OFFLINE = "control-plane", "offline"
#: Keys that may be asked to agree, at most.
MOST_SIGNERS = 16


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Allowed modes, targets (``host`` or a guest's number), scripts (SHA-256), commands; None allows all of a kind.

    ``signatures`` says whose signatures count, :data:`ANY_KEY` or :data:`OFFLINE`, ``threshold`` how many different
    keys must have signed. Empty means :data:`ANY_KEY` where keys are known, and nothing where none ever were.
    ``times`` says when a change may begin, by the wall clock of ``time_zone`` (empty: this machine's); dry runs may at
    any time unless ``dry_runs_anytime`` is false.
    """

    operations: frozenset[str] = USUAL_OPERATIONS
    modes: frozenset[str] | None = None
    targets: frozenset[str] | None = None
    scripts: frozenset[str] | None = None
    commands: frozenset[str] | None = None
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
        """Return the sentence that says what of a patch is forbidden; empty when nothing is."""
        if PATCH not in self.operations:
            return _no_operation(PATCH)
        if self.modes is not None and mode not in self.modes:
            return f"The local policy does not allow the mode {mode}."
        forbidden = self._refuses_target(target)
        if not forbidden and self.scripts is not None and sha256 not in self.scripts:
            return f"The local policy does not allow the script with SHA-256 {sha256}."
        return forbidden

    def refuses_operation(self, operation: str, target: str) -> str:
        """Return the sentence that says why an operation without modes and scripts is forbidden; empty when it is not.

        Its time is for :meth:`mistimed` to judge.
        """
        return self._refuses_target(target) if operation in self.operations else _no_operation(operation)

    def refuses_command(self, name: str, target: str) -> str:
        """Return the sentence that says why a command of the catalogue may not be read; empty when it may."""
        if self.commands is not None and name not in self.commands:
            return f"The local policy does not allow the command {name}."
        return self._refuses_target(target)

    def _refuses_target(self, target: str) -> str:
        if self.targets is not None and target not in self.targets:
            return f"The local policy does not allow the target {target}."
        return ""

    def mistimed(self, now: datetime, *, dry_run: bool) -> str:
        """Return the sentence that says why nothing may begin now, and from when on; empty when it may."""
        if self.times is None or (dry_run and self.dry_runs_anytime) or self.times.allow(now):
            return ""
        change = self.times.change(now)
        then = f"next from {change.isoformat(timespec='minutes')} on" if change is not None else "not in two weeks"
        what = "this" if dry_run else "a change"
        return f"The local policy does not let {what} begin now: it allows {self.times}, {then}."


#: What is allowed where the owner has written nothing: to look.
READING = Policy(modes=frozenset({"dry-run"}), operations=USUAL_OPERATIONS)


def find(named: str, default: Path = DEFAULT_FILE) -> str:
    """Return which file holds the policy: the one that is named, else the usual one if it is there, else none."""
    return named or (str(default) if default.exists() else "")


def load(path: str) -> Policy:
    """Read a TOML file whose keys are those of :class:`Policy`; without one only :data:`READING` is allowed.

    Raises SettingsError.
    """
    if not path:
        return READING
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


def report(policy: Policy, path: str) -> PolicyReport:
    """Return a policy as others are told of it."""
    return PolicyReport(
        file=path,
        operations=sorted(policy.operations),
        modes=_sorted(policy.modes),
        targets=_sorted(policy.targets),
        scripts=_sorted(policy.scripts),
        commands=_sorted(policy.commands),
        signatures=policy.signatures or ANY_KEY,
        threshold=policy.threshold,
        times=list(policy.times.written) if policy.times is not None else None,
        time_zone=policy.time_zone,
        dry_runs_anytime=policy.dry_runs_anytime,
    )


def _sorted(words: Collection[str] | None) -> list[str] | None:
    return None if words is None else sorted(words)


def _no_operation(operation: str) -> str:
    return f"The local policy does not allow operations of the kind {operation}; it is for the owner to write so."


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
    "operations": (
        re.compile("|".join((PATCH, REBOOT, UPDATE, PRUNE, INVESTIGATION))),
        f'"{PATCH}", "{REBOOT}", "{UPDATE}", "{PRUNE}" or "{INVESTIGATION}"',
    ),
    "commands": (re.compile("[a-z][a-z0-9-]{0,63}"), "names that 'nanny-agent policy show --commands' lists"),
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
