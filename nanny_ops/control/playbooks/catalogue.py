"""The catalogue: which playbooks may be run. One is allowed by the file that lies beside it, ``NAME.meta.yml``.

Only what lies in two directories is known, by the name of its file, so no name can lead anywhere else.
"""

import hashlib
import re
import stat
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import nanny_ops
from nanny_ops.control.playbooks import argument
from nanny_ops.errors import Conflict, NotConfigured, NotFound, ValidationFailed
from nanny_ops.protocol.playbook import Origin, Playbook
from nanny_ops.protocol.playbook_run import LONGEST
from nanny_ops.protocol.token import Scope

#: What must be installed beside the control plane.
NEEDED = ("ansible-core", "ansible-runner")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
META = ".meta.yml"
#: Where the collection whose roles are played lies in a directory of collections.
OURS = "ansible_collections/nanny/ops"
#: Where in the site's directory lies what playbooks bring to hosts, such as packages, and how it may be called.
FILES, FILE_NAME = "packages", re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,254}")
#: What a playbook's own part may say.
OWN = frozenset({"changes", "timeout_seconds", "token", "files"})
#: Bytes of a file beside a playbook, and files and bytes of a directory that are looked at for its checksum.
META_CAP, TREE_FILES, TREE_BYTES = 262_144, 5000, 256 * 1024 * 1024


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

    def resolved(self, entry: Entry, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return variables with the whole path where one names a file of the site. Raises ValidationFailed."""
        return {
            name: str(self._file(name, value)) if name in entry.playbook.files else value
            for name, value in given.items()
        }

    def digest(self, entry: Entry, given: Mapping[str, Any] = MappingProxyType({})) -> str:
        """Return a checksum of all that lies in a playbook's directory, which it may include, and of named files.

        Raises Conflict, ValidationFailed.
        """
        checksum, size = hashlib.sha256(), 0
        for number, path in enumerate(_tree(entry.path.parent)):
            size += path.stat().st_size
            if number >= TREE_FILES or size > TREE_BYTES:
                raise Conflict(f"The directory of '{entry.playbook.name}' is too large to be looked at.")
            checksum.update(f"{path.relative_to(entry.path.parent)}\0".encode("utf-8", "surrogateescape"))
            checksum.update(hashlib.sha256(path.read_bytes()).digest())
        for name in sorted(entry.playbook.files):
            if name in given:
                with self._file(name, given[name]).open("rb") as file:
                    checksum.update(f"{name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}".encode())
        return checksum.hexdigest()

    def _file(self, name: str, value: Any) -> Path:
        if self.site is None:
            raise ValidationFailed(
                f"vars: '{name}' names a file of the site, and playbook_dir is not set.", field="vars"
            )
        path = self.site / FILES / str(value)
        if not isinstance(value, str) or not FILE_NAME.fullmatch(value) or path.is_symlink() or not path.is_file():
            raise ValidationFailed(
                f"vars: '{name}' names no file in the directory {FILES} of playbook_dir.", field="vars"
            )
        _guard(path)
        return path

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


def shipped_collections(prefix: Path | None = None) -> list[Path]:
    """Return the directory of the collection that ships: below ``prefix``, that of the programs, or in a checkout."""
    homes = (prefix or Path(sys.prefix), Path(nanny_ops.__file__).parents[1])
    found = (home / "ansible" / "collections" for home in homes)
    return [path for path in found if (path / OURS).is_dir()][:1]


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
    if not isinstance(own, Mapping) or own.keys() - OWN:
        raise ValidationFailed(
            "nanny_ops: there may be 'changes', 'timeout_seconds', 'token' and 'files', nothing else."
        )
    changes, timeout = own.get("changes", True), own.get("timeout_seconds", bare.timeout_seconds)
    if not isinstance(changes, bool) or not isinstance(timeout, int) or not 0 < timeout <= LONGEST:
        raise ValidationFailed(f"nanny_ops: 'changes' is true or false, 'timeout_seconds' 1 to {LONGEST}.")
    options = argument.options(specs)
    scopes = _words(own, "token", get_args(Scope))
    files = _words(own, "files", [one.name for one in options])
    first = next((spec for spec in specs.values() if isinstance(spec, Mapping)), {})
    described = first.get("short_description") or first.get("description") or ""
    text = " ".join(described) if isinstance(described, list) else str(described)
    own_part: dict[str, Any] = {"changes": changes, "timeout_seconds": timeout, "token": scopes, "files": files}
    return replace(bare, description=text, options=options, **own_part)


def _words(own: Mapping[str, Any], key: str, known: Collection[str]) -> list[Any]:
    found = own.get(key, [])
    if not isinstance(found, list) or not all(word in known for word in found):
        raise ValidationFailed(f"nanny_ops: '{key}' is a list of: {', '.join(known) or 'nothing, as it takes none'}.")
    return found


def _tree(directory: Path) -> Iterator[Path]:
    """Yield all files below a directory in one order, without hidden ones and those of links to directories."""
    for path in sorted(directory.iterdir()):
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _tree(path)
        elif path.is_file():
            yield path
