"""The catalogue: which playbooks may be run. One is allowed by the file that lies beside it, ``NAME.meta.yml``.

Only what lies in two directories is known, by the name of its file, so no name can lead anywhere else.
"""

import hashlib
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import nanny_ops
from nanny_ops.control.playbooks import argument
from nanny_ops.errors import Conflict, NotConfigured, NotFound, ValidationFailed
from nanny_ops.protocol.playbook import Origin, Playbook
from nanny_ops.protocol.playbook_run import LONGEST

#: What must be installed beside the control plane.
NEEDED = ("ansible-core", "ansible-runner")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
META = ".meta.yml"
#: Bytes of a file beside a playbook, and files and bytes of a directory that are looked at for its checksum.
META_CAP, TREE_FILES, TREE_BYTES = 262_144, 5000, 64 * 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """A playbook and where it lies."""

    playbook: Playbook
    path: Path


@dataclass(frozen=True)
class Catalogue:
    """The directories of playbooks, and how long one may take that does not say so itself, in seconds."""

    site: Path | None
    usual_timeout: int
    shipped: Path | None = None

    def entries(self) -> list[Entry]:
        """Return all playbooks by name; a site's one never stands in for a shipped one of the same name."""
        found: dict[str, Entry] = {}
        for origin, directory in self._directories():
            for entry in self._of(origin, directory):
                name = entry.playbook.name
                if name not in found:
                    found[name] = entry
                elif origin == "site":
                    trouble = f"A shipped playbook has the name '{name}'; give it another one."
                    found[f"{name} (site)"] = replace(entry, playbook=replace(entry.playbook, trouble=trouble))
        return [found[name] for name in sorted(found)]

    def find(self, name: str) -> Entry:
        """Return a playbook that can be run. Raises NotFound, and Conflict where something is wrong with it."""
        for entry in self.entries() if NAME.fullmatch(name) else ():
            if entry.playbook.name == name:
                if entry.playbook.trouble:
                    raise Conflict(f"'{name}' cannot be run: {entry.playbook.trouble}")
                return entry
        raise NotFound(f"There is no playbook '{name[:64]}'.")

    def digest(self, entry: Entry) -> str:
        """Return a checksum of all that lies in a playbook's directory, which it may include. Raises Conflict."""
        checksum, size = hashlib.sha256(), 0
        for number, path in enumerate(_tree(entry.path.parent)):
            size += path.stat().st_size
            if number >= TREE_FILES or size > TREE_BYTES:
                raise Conflict(f"The directory of '{entry.playbook.name}' is too large to be looked at.")
            checksum.update(f"{path.relative_to(entry.path.parent)}\0".encode("utf-8", "surrogateescape"))
            checksum.update(hashlib.sha256(path.read_bytes()).digest())
        return checksum.hexdigest()

    def _directories(self) -> Iterator[tuple[Origin, Path]]:
        if (shipped := self.shipped or shipped_directory()) is not None:
            yield "shipped", shipped
        if self.site is not None:
            yield "site", self.site

    def _of(self, origin: Origin, directory: Path) -> Iterator[Entry]:
        for meta in sorted(directory.glob(f"*{META}")):
            name = meta.name.removesuffix(META)
            path = directory / f"{name}.yml"
            bare = Playbook(name=name, origin=origin, description="", changes=True, timeout_seconds=self.usual_timeout)
            if not NAME.fullmatch(name):
                continue
            try:
                _guard(path)
                yield Entry(_described(bare, _read(meta)), path)
            except ValidationFailed as wrong:
                yield Entry(replace(bare, trouble=wrong.message), path)


def must_be_there() -> None:
    """Raise NotConfigured, with what to install, where Ansible is not."""
    missing = [name for name in NEEDED if not _installed(name)]
    if missing:
        raise NotConfigured(
            f"Playbooks need {' and '.join(missing)} beside the control plane: pip install 'nanny-ops[ansible]'.",
            missing=missing,
        )


def shipped_directory() -> Path | None:
    """Return where the shipped playbooks lie: inside the package, or beside it in a checkout."""
    package = Path(nanny_ops.__file__).parent
    return next((path for path in (package / "shipped_playbooks", package.parent / "playbooks") if path.is_dir()), None)


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _guard(path: Path) -> None:
    """Refuse a playbook that is missing or that anybody on this machine could have written."""
    try:
        states = [path.stat(), path.parent.stat()]
    except OSError as wrong:
        raise ValidationFailed(f"{path.name} cannot be read: {wrong.strerror}.") from wrong
    if not stat.S_ISREG(states[0].st_mode):
        raise ValidationFailed(f"{path.name} is no file.")
    if any(state.st_mode & stat.S_IWOTH for state in states):
        raise ValidationFailed("Everybody may write it or its directory; take that away with chmod o-w.")


def _read(meta: Path) -> Mapping[str, Any]:
    import yaml  # comes with Ansible, which a control plane need not have

    try:
        with meta.open("rb") as file:
            found = yaml.safe_load(file.read(META_CAP).decode())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as wrong:
        raise ValidationFailed(f"{meta.name} cannot be read: {str(wrong).splitlines()[0]}.") from wrong
    if not isinstance(found, Mapping):
        raise ValidationFailed(f"{meta.name} is no mapping.")
    return found


def _described(bare: Playbook, meta: Mapping[str, Any]) -> Playbook:
    specs, own = meta.get("argument_specs", {}), meta.get("nanny_ops", {})
    if not isinstance(own, Mapping) or own.keys() - {"changes", "timeout_seconds"}:
        raise ValidationFailed("nanny_ops: there may be 'changes' and 'timeout_seconds', nothing else.")
    changes, timeout = own.get("changes", True), own.get("timeout_seconds", bare.timeout_seconds)
    if not isinstance(changes, bool) or not isinstance(timeout, int) or not 0 < timeout <= LONGEST:
        raise ValidationFailed(f"nanny_ops: 'changes' is true or false, 'timeout_seconds' 1 to {LONGEST}.")
    options = argument.options(specs)
    first = next((spec for spec in specs.values() if isinstance(spec, Mapping)), {})
    described = first.get("short_description") or first.get("description") or ""
    text = " ".join(described) if isinstance(described, list) else str(described)
    return replace(bare, description=text, changes=changes, timeout_seconds=timeout, options=options)


def _tree(directory: Path) -> Iterator[Path]:
    """Yield all files below a directory in one order, without hidden ones and those of links to directories."""
    for path in sorted(directory.iterdir()):
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _tree(path)
        elif path.is_file():
            yield path
