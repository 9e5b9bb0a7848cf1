"""A local apt repository of the lab's packages: a stable suite and a security suite, read through ``file:``."""

import gzip
import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nanny_ops.errors import MachineError
from nanny_ops.lab.deb import Deb, build
from nanny_ops.machine.run import run

#: Where the repository lies inside a guest.
MOUNTED_AT = "/srv/nanny-repo"
ARCHITECTURES = ("amd64", "arm64")
#: Suite -> Label, Codename and the pool that holds its packages. Origin, Label and Suite are what apt pins and prints.
SUITES = {
    "stable": ("Debian", "bookworm", "main"),
    "stable-security": ("Debian-Security", "bookworm-security", "security"),
}
FIELD_DEADLINE = 30.0

#: What a fresh guest has installed.
INSTALLED = (
    Deb("nanny-demo-web", "1.0-1", {"usr/share/nanny-demo-web/index.html": "<p>one</p>\n"}),
    Deb("nanny-demo-conf", "1.0-1", {"etc/nanny-demo.conf": "greeting = hello\n"}, ("/etc/nanny-demo.conf",)),
    Deb("nanny-demo-tls", "3.0.1-1", {"usr/lib/nanny-demo-tls/version": "3.0.1\n"}),
    Deb("nanny-demo-lib", "2.4-1", {"usr/lib/nanny-demo-lib/version": "2.4\n"}),
)
#: What the repository offers beyond that.
OFFERED = (
    Deb("nanny-demo-web", "1.1-1", {"usr/share/nanny-demo-web/index.html": "<p>two</p>\n"}, depends="nanny-demo-lib"),
    Deb("nanny-demo-conf", "1.1-1", {"etc/nanny-demo.conf": "greeting = welcome\n"}, ("/etc/nanny-demo.conf",)),
    Deb("nanny-demo-tls", "3.0.1-1+deb12u1", {"usr/lib/nanny-demo-tls/version": "3.0.1 fixed\n"}, security=True),
    Deb("nanny-demo-lib", "2.5-1", {"usr/lib/nanny-demo-lib/version": "2.5\n"}),
)


@dataclass(frozen=True)
class AptRepository:
    """A repository in a directory; call :meth:`publish` after packages were added or removed."""

    directory: Path

    def add(self, *debs: Deb) -> None:
        """Build packages into the repository and publish it. Raises MachineError, ProgramMissing."""
        for deb in debs:
            build(deb, self.directory / "pool" / ("security" if deb.security else "main"))
        self.publish()

    def remove(self, name: str, version: str) -> None:
        """Take one version of a package out and publish the rest."""
        for path in self.directory.glob(f"pool/*/{Deb(name, version).filename}"):
            path.unlink()
        self.publish()

    def publish(self) -> None:
        """Write the indices anew. Raises MachineError."""
        for suite, (label, codename, pool) in SUITES.items():
            packages = "".join(self._stanza(path) for path in sorted((self.directory / "pool" / pool).glob("*.deb")))
            self._write_suite(suite, label, codename, packages.encode())
        for path in (self.directory, *self.directory.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)  # apt reads as the user _apt

    def copy_to(self, rootfs: Path) -> "AptRepository":
        """Copy the repository into a guest, as its only apt source, and return the copy."""
        copy = rootfs / MOUNTED_AT.lstrip("/")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.directory, copy)
        sources = rootfs / "etc/apt/sources.list.d"
        shutil.rmtree(sources, ignore_errors=True)
        sources.mkdir(parents=True)
        (rootfs / "etc/apt/sources.list").unlink(missing_ok=True)
        (sources / "nanny-demo.list").write_text(source_lines())
        return AptRepository(copy)

    def _stanza(self, path: Path) -> str:
        done = run(["dpkg-deb", "--field", str(path)], timeout=FIELD_DEADLINE)
        if done.exit_code != 0:
            raise MachineError(f"{path.name} is no package: {done.stderr.decode(errors='replace')[-200:]}")
        content = path.read_bytes()
        place = f"Filename: {path.relative_to(self.directory)}\nSize: {len(content)}\n"
        digest = f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
        return done.stdout.decode().rstrip("\n") + "\n" + place + digest + "\n"

    def _write_suite(self, suite: str, label: str, codename: str, packages: bytes) -> None:
        base = self.directory / "dists" / suite
        sums: list[str] = []
        for name, content in _indices(packages):
            (base / name).parent.mkdir(parents=True, exist_ok=True)
            (base / name).write_bytes(content)
            sums.append(f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}")
        head = f"Origin: Debian\nLabel: {label}\nSuite: {suite}\nVersion: 12\nCodename: {codename}\n"
        rest = f"Date: Thu, 01 Jan 2026 00:00:00 UTC\nArchitectures: {' '.join(ARCHITECTURES)}\nComponents: main\n"
        (base / "Release").write_text(head + rest + "SHA256:\n" + "\n".join(sums) + "\n")


def source_lines() -> str:
    """Return the guest's apt sources; the repository is trusted because nothing signs it."""
    return "".join(f"deb [trusted=yes] file:{MOUNTED_AT} {suite} main\n" for suite in SUITES)


def demo_repository(directory: Path) -> AptRepository:
    """Build the repository that every guest gets, and beside it in ``installed/`` what it has installed."""
    repository = AptRepository(directory / "repository")
    repository.add(*OFFERED)
    for deb in INSTALLED:
        build(deb, directory / "installed")
    return repository


def digest_of(debs: Iterable[Deb]) -> str:
    """Return a short digest that changes whenever one of the packages does."""
    return hashlib.sha256("\n".join(repr(deb) for deb in debs).encode()).hexdigest()[:12]


def _indices(packages: bytes) -> list[tuple[str, bytes]]:
    plain = [(f"main/binary-{architecture}/Packages", packages) for architecture in ARCHITECTURES]
    packed = gzip.compress(packages, mtime=0)
    return plain + [(f"{name}.gz", packed) for name, _ in plain]
