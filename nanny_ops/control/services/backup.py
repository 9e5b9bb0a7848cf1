"""A backup as a file: a tar with the database, what lies beside it in the data directory, and a manifest.

``manifest.json`` has ``format``, ``version`` and ``revision`` (of the program and of the tables), ``kind`` (of the
database), ``made_at`` and ``files``, the SHA-256 of every other member by its name.
"""

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Literal

from nanny_ops.errors import SettingsError

Kind = Literal["sqlite", "postgresql"]
#: Raised when an older program could not read the file.
FORMAT = 1
MANIFEST, DATA = "manifest.json", "data/"
#: Member of the tar that is the database.
DATABASE: Mapping[Kind, str] = {"sqlite": "nanny-ops.db", "postgresql": "postgresql.dump"}
#: What is kept of the data directory beside the database: keys, and what scripts have printed.
KEPT = ("secret.key", "signing.key", "results")
NAME = re.compile(r"nanny-ops-\d{8}T\d{6}Z\.tar\.gz")
#: Most of the size for little of the time.
COMPRESSION = 3


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a backup says of itself."""

    version: str
    revision: str
    kind: Kind
    made_at: str
    format: int = FORMAT
    files: Mapping[str, str] = field(default_factory=dict)


def file_name(now: datetime) -> str:
    """Return what a backup of an instant is called; names sort by time."""
    return f"nanny-ops-{now:%Y%m%dT%H%M%SZ}.tar.gz"


def pack(target: Path, told: Manifest, database: Path, data_dir: Path) -> Path:
    """Write a backup by one rename, for its owner alone; the database first, so that what it names is copied after it.

    Raises SettingsError where the directory cannot be written.
    """
    growing = target.with_name(f".{target.name}.new")
    digests: dict[str, str] = {}
    try:
        with (
            os.fdopen(os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out,
            tarfile.open(fileobj=out, mode="w:gz", compresslevel=COMPRESSION) as tar,
        ):
            for name, file in [(DATABASE[told.kind], database), *_members(data_dir)]:
                try:
                    digests[name] = _add(tar, name, file)
                except FileNotFoundError:  # its time was over between two looks
                    continue
            _add_text(tar, MANIFEST, json.dumps({**asdict(told), "files": digests}, indent=1))
        return growing.rename(target)
    except OSError as wrong:
        raise SettingsError(f"{target} cannot be written: {wrong.strerror}.") from wrong
    finally:
        growing.unlink(missing_ok=True)


def unpack(file: Path, into: Path) -> Manifest:
    """Unpack a backup that is whole and return what it says of itself. Raises SettingsError."""
    try:
        with tarfile.open(file, "r:gz") as tar:
            for member in tar:
                if not member.isdir():
                    _extract(tar, member, into)
        told = Manifest(**json.loads((into / MANIFEST).read_text("utf-8")))
    except (OSError, EOFError, tarfile.TarError, ValueError, TypeError) as wrong:
        raise SettingsError(f"{file} is no backup that can be read: {wrong}") from wrong
    if told.format != FORMAT:
        raise SettingsError(f"{file} has the format {told.format}; this program reads {FORMAT}.")
    for name, digest in told.files.items():
        if not (into / name).is_file() or _digest(into / name) != digest:
            raise SettingsError(f"{file} is damaged: {name} is not what the manifest says.")
    found = {str(path.relative_to(into)) for path in into.rglob("*") if path.is_file()}
    if strays := sorted(found - {MANIFEST, *told.files}):
        raise SettingsError(f"{file} is damaged: the manifest does not know {strays[0]}.")
    if DATABASE.get(told.kind) not in told.files:
        raise SettingsError(f"{file} has no database.")
    return told


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    """Write one member; filters of tarfile came with Python 3.11.4, Debian 12 has an older one."""
    path = PurePosixPath(member.name)
    content = tar.extractfile(member) if member.isreg() else None
    if content is None or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{member.name[:100]!r} is no plain file of a backup.")
    target = into / path
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with content, os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        shutil.copyfileobj(content, file)


def surplus(directory: Path, keep: int) -> list[Path]:
    """Return the backups of a directory that are older than the newest ``keep``."""
    found = sorted(path for path in directory.iterdir() if NAME.fullmatch(path.name))
    return found[:-keep]


def _members(data_dir: Path) -> Iterator[tuple[str, Path]]:
    for name in KEPT:
        path = data_dir / name
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and not file.is_symlink():
                yield DATA + str(file.relative_to(data_dir)), file


def _add(tar: tarfile.TarFile, name: str, file: Path) -> str:
    """Add a file as it is at this moment, also one that grows, and return its SHA-256."""
    with file.open("rb") as source:
        member = tar.gettarinfo(arcname=name, fileobj=source)
        member.mode, member.uid, member.gid, member.uname, member.gname = 0o600, 0, 0, "", ""
        counted = _Counted(source)
        tar.addfile(member, counted)
    return counted.digest.hexdigest()


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    member, content = tarfile.TarInfo(name), text.encode()
    member.size, member.mode = len(content), 0o600
    tar.addfile(member, io.BytesIO(content))


class _Counted(io.BufferedReader):
    """A file of which what was read is hashed."""

    def __init__(self, source: io.BufferedReader) -> None:
        super().__init__(source.raw)
        self.digest = hashlib.sha256()

    def read(self, size: int | None = -1) -> bytes:
        """Read and hash."""
        piece = super().read(size)
        self.digest.update(piece)
        return piece


def _digest(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
