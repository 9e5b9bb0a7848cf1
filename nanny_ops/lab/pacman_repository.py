"""A repository of pacman packages, written file by file: pacman wants no program of its own for that."""

import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from nanny_ops.lab.rpm_repository import inside
from nanny_ops.lab.ware import INSTALLED, OFFERED, Ware

#: Where it lies in the root, and where the packages lie that are installed from the start.
OFFER, OLD = "srv/arch", "srv/arch-old"
CONFIGURATION = "[options]\nArchitecture = auto\nSigLevel = Never\n[lab]\nServer = file:///srv/arch\n"
#: A moment that every file of a package has.
BUILT = 1_767_225_600


def lay_pacman_repository(root: Path) -> None:
    """Install the old packages in a root and offer the newer ones. Raises MachineError."""
    (root / "etc/pacman.conf").write_text(CONFIGURATION)
    (root / "var/lib/pacman").mkdir(parents=True, exist_ok=True)
    old = [ware for ware in INSTALLED if ware.name != "nanny-stuck"]
    write(root / OLD, old)
    offer(root, OFFERED)
    # No sandbox: a chroot on a build machine may have neither the user nor the kernel's part of it.
    inside(root, "pacman", "-U", "--noconfirm", "--disable-sandbox", *(f"/{OLD}/{_filename(ware)}" for ware in old))


def offer(root: Path, wares: Iterable[Ware]) -> None:
    """Let the repository hold these packages."""
    wares = tuple(wares)
    write(root / OFFER, wares)
    entries = {}
    for ware in wares:
        data = (root / OFFER / _filename(ware)).read_bytes()
        told = {
            "FILENAME": _filename(ware),
            "NAME": ware.name,
            "VERSION": f"{ware.version}-1",
            "DESC": "of the lab",
            "CSIZE": str(len(data)),
            "ISIZE": "30",
            "SHA256SUM": hashlib.sha256(data).hexdigest(),
            "ARCH": "any",
            **({"DEPENDS": "\n".join(_needs(ware))} if ware.needs else {}),
        }
        text = "".join(f"%{key}%\n{value}\n\n" for key, value in told.items())
        entries[f"{ware.name}-{ware.version}-1/desc"] = text.encode()
    (root / OFFER / "lab.db").write_bytes(_archive(entries))


def write(folder: Path, wares: Iterable[Ware]) -> None:
    """Write packages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for ware in wares:
        facts = [
            ("pkgname", ware.name),
            ("pkgbase", ware.name),
            ("pkgver", f"{ware.version}-1"),
            ("pkgdesc", "of the lab"),
        ]
        facts += [("url", "https://example.com"), ("builddate", str(BUILT)), ("packager", "lab"), ("size", "30")]
        facts += [
            ("arch", "any"),
            ("backup", f"etc/arch/{ware.name}.conf"),
            *(("depend", need) for need in _needs(ware)),
        ]
        files = {
            ".PKGINFO": "".join(f"{key} = {value}\n" for key, value in facts).encode(),
            f"etc/arch/{ware.name}.conf": f"from {ware.version}\n".encode(),
            f"usr/share/arch/{ware.name}": f"{ware.version}\n".encode(),
        }
        (folder / _filename(ware)).write_bytes(_archive(files))


def _filename(ware: Ware) -> str:
    return f"{ware.name}-{ware.version}-1-any.pkg.tar.gz"


def _needs(ware: Ware) -> list[str]:
    return [need.replace(" ", "") for need in ware.needs]


def _archive(files: Mapping[str, bytes]) -> bytes:
    """Return a compressed archive of files and the folders that they are in."""
    folders = sorted({str(parent) for name in files for parent in Path(name).parents if str(parent) != "."})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in folders:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, BUILT
            archive.addfile(entry)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), 0o644, BUILT
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
