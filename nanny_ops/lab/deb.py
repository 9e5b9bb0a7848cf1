"""Real .deb packages, built offline by dpkg-deb."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nanny_ops.errors import MachineError
from nanny_ops.machine.run import run

#: Seconds for dpkg-deb.
BUILD_DEADLINE = 60.0
#: Seconds of the epoch that stand in every package, so that a rebuilt one is the same.
BUILT_AT = "1767225600"


@dataclass(frozen=True)
class Deb:
    """One package in one version; ``files`` and ``scripts`` (postinst, prerm ...) map names to texts."""

    name: str
    version: str
    files: Mapping[str, str] = field(default_factory=dict)
    conffiles: tuple[str, ...] = ()
    depends: str = ""
    conflicts: str = ""
    scripts: Mapping[str, str] = field(default_factory=dict)
    #: Published in the security suite.
    security: bool = False
    description: str = "package of a lab"

    @property
    def filename(self) -> str:
        """Return the name of its file."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_all.deb"

    def control(self) -> str:
        """Return its control file."""
        depends = f"Depends: {self.depends}\n" if self.depends else ""
        depends += f"Conflicts: {self.conflicts}\n" if self.conflicts else ""
        return (
            f"Package: {self.name}\nVersion: {self.version}\nArchitecture: all\nMaintainer: Lab <lab@example.invalid>\n"
            f"{depends}Section: misc\nPriority: optional\nDescription: {self.description}\n"
        )


def build(deb: Deb, directory: Path) -> Path:
    """Build a package into a directory and return its file. Raises MachineError, ProgramMissing."""
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / deb.filename
    tree = Path(tempfile.mkdtemp(prefix="lab-deb-"))
    try:
        _lay_out(deb, tree)
        argv = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(target)]
        path = "/usr/sbin:/usr/bin:/sbin:/bin"
        done = run(argv, timeout=BUILD_DEADLINE, env={"SOURCE_DATE_EPOCH": BUILT_AT, "PATH": path, "LC_ALL": "C.UTF-8"})
    finally:
        shutil.rmtree(tree)
    if done.exit_code != 0:
        raise MachineError(f"dpkg-deb failed for {deb.name}: {done.stderr.decode(errors='replace')[-400:]}")
    return target


def _lay_out(deb: Deb, tree: Path) -> None:
    tree.chmod(0o755)
    control = tree / "DEBIAN"
    control.mkdir(mode=0o755)
    (control / "control").write_text(deb.control())
    if deb.conffiles:
        (control / "conffiles").write_text("".join(f"{path}\n" for path in deb.conffiles))
    for name, text in deb.scripts.items():
        (control / name).write_text(text)
        (control / name).chmod(0o755)
    for name, text in deb.files.items():
        path = tree / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
