"""The shipped apt script on each Debian that is still met, in a process namespace of its own, under three shells."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nanny_ops.lab import demo_guest
from nanny_ops.lab.apt_repository import OFFERED, AptRepository
from nanny_ops.lab.deb import Deb
from nanny_ops.lab.image import cache_dir, configured_mirror, debian_image, lay_image, lift_image
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.machine.packages.note import Notes, read
from nanny_ops.machine.run import run
from nanny_ops.patch_scripts.assembled import assembled
from nanny_ops.protocol.package_list import parse
from tests.lab_fixtures import need_real_containers

pytestmark = pytest.mark.lxc

ALL = sorted(deb.name for deb in OFFERED)
RELEASES = {"bullseye": ["sh"], "bookworm": ["/busybox", "ash"], "trixie": ["bash"]}
#: What a dry run may touch: its own folder came and went there, and nothing else.
VOLATILE = ("var/tmp",)
CONF = "/etc/nanny-demo.conf"
NEWS = """nanny-demo-lib (2.6-1) unstable; urgency=low

  Everything is new.

 -- Lab <lab@example.invalid>  Thu, 01 Jan 2026 00:00:00 +0000
"""


@dataclass
class Root:
    """One Debian's root and the shell that runs the script in it."""

    path: Path
    shell: list[str]

    def patch(self, *words: str) -> tuple[int | None, list[str], Notes]:
        """Run the script: its exit code, the packages it names, and its notes."""
        spaces = ["unshare", "--mount", "--pid", "--fork", f"--mount-proc={self.path}/proc"]
        argv = [*spaces, "chroot", str(self.path), *self.shell, "/root/apt.sh", *words]
        done = run(argv, timeout=100, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        return done.exit_code, sorted(one.name for one in parse(done.stdout)), read(done.stdout)

    def write(self, path: str, text: str) -> None:
        """Write a file inside."""
        target = self.path / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def read(self, path: str) -> str:
        """Read a file inside."""
        return (self.path / path.lstrip("/")).read_text()

    def digest(self) -> dict[str, str]:
        """Map each path to its kind, owner, rights, time of change and content."""
        found: dict[str, str] = {}
        for folder, folders, files in os.walk(self.path):
            for name in [*folders, *files]:
                path = Path(folder, name)
                relative, told = str(path.relative_to(self.path)), path.lstat()
                if relative not in VOLATILE:
                    found[relative] = f"{told.st_mode} {told.st_uid} {told.st_gid} {told.st_mtime_ns} {_content(path)}"
        return found


def _content(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _image(suite: str) -> Path:
    cache = cache_dir(dict(os.environ))
    if suite == "bookworm":
        return demo_guest.prepared_image(cache)
    base = machine_image(cache, suite) if suite == "trixie" else debian_image(cache, suite=suite)
    return demo_guest.prepared_image(cache, base=base)


@pytest.fixture(params=list(RELEASES))
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Root]:
    need_real_containers()
    place = tmp_path / "root"
    lay_image(_image(request.param), place)
    try:
        one = Root(place, RELEASES[request.param])
        (place / "root/apt.sh").write_bytes(assembled("apt.sh"))
        (place / "busybox").write_bytes(Path("/usr/bin/busybox").read_bytes())
        (place / "busybox").chmod(0o755)
        yield one
    finally:
        lift_image(place)


@pytest.mark.rows("F1", "F17")
def test_a_dry_run_changes_nothing_and_an_upgrade_keeps_what_the_administrator_wrote(root: Root) -> None:
    for cache in ("pkgcache.bin", "srcpkgcache.bin"):  # as where apt was never used
        (root.path / "var/cache/apt" / cache).unlink(missing_ok=True)
    before = root.digest()
    code, names, notes = root.patch("--dry-run")
    assert (code, names, notes.ended) == (0, ALL, "")
    common = ["--dry-run", "--conffiles=hold-back", "--exclude=nanny-demo-web", "--lock-timeout=9", "--repair"]
    few = [name for name in ALL if name != "nanny-demo-web"]
    assert root.patch(*common, "--dist-upgrade", "--autoremove", "--verbose")[:2] == (0, few)
    assert root.patch(*common, "--only=nanny-demo-tls", "--security-only")[:2] == (0, ["nanny-demo-tls"])
    assert root.digest() == before

    root.write(CONF, "greeting = mine\n")
    code, names, notes = root.patch("--dry-run", "--conffiles=hold-back")
    assert (code, names) == (0, [name for name in ALL if name != "nanny-demo-conf"])
    assert [(one.name, one.version, one.why) for one in notes.left] == [("nanny-demo-conf", "1.1-1", "conffile")]

    code, names, notes = root.patch()
    assert (code, names, notes.conffiles) == (0, ALL, [f"{CONF}.dpkg-dist"])
    assert root.read(CONF) == "greeting = mine\n"
    assert root.patch()[:2] == (0, [])


@pytest.mark.rows("F17")
def test_a_repository_that_cannot_be_trusted_is_named_with_the_reason(root: Root) -> None:
    repository = "file:/srv/nanny-repo"
    for name, old, new in (
        ("future", "Date: Thu, 01 Jan 2026", "Date: Thu, 01 Jan 2037"),
        ("expired", "Architectures:", "Valid-Until: Fri, 02 Jan 2026 00:00:00 UTC\nArchitectures:"),
    ):
        release = root.read("/srv/nanny-repo/dists/stable/Release")
        root.write(f"/srv/{name}/dists/stable/Release", release.replace(old, new))
    lines = (
        f"deb [trusted=yes] {repository} stable main",
        f"deb {repository} stable-security main",
        "deb [trusted=yes] file:/srv/future stable main",
        "deb [trusted=yes] file:/srv/expired stable main",
        "deb [trusted=yes] http://127.0.0.1:9/gone stable main",
    )
    root.write("/etc/apt/sources.list.d/nanny-demo.list", "\n".join(lines) + "\n")
    code, names, notes = root.patch("--dry-run")
    assert (code, notes.ended) == (4, "partial")
    assert names == [name for name in ALL if name != "nanny-demo-tls"]
    assert sorted(notes.not_refreshed) == [
        "file:/srv/expired stable (its index has expired, or the clock of this machine is ahead)",
        "file:/srv/future stable (its index is not valid yet: is the clock of this machine right?)",
        f"{repository} stable-security (it is not signed by a key that is trusted here)",
        "http://127.0.0.1:9/gone stable",
    ]


@pytest.mark.rows("F17")
def test_what_is_phased_waits_for_its_turn_and_is_told(root: Root) -> None:
    """Debian phases nothing: its apt does as Ubuntu's does where an index says so, from apt 2.1.16 on."""
    root.write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    packages = root.path / "srv/nanny-repo/dists/stable/main"
    for index in packages.glob("*/Packages*"):
        index.unlink() if index.suffix == ".gz" else index.write_text(
            index.read_text().replace(
                "Package: nanny-demo-web\n", "Package: nanny-demo-web\nPhased-Update-Percentage: 0\n"
            )
        )
    (root.path / "srv/nanny-repo/dists/stable/Release").unlink()
    root.write("/etc/apt/sources.list.d/nanny-demo.list", "deb [trusted=yes] file:/srv/nanny-repo stable main\n")
    code, names, notes = root.patch("--dry-run")
    assert (code, names) == (0, [name for name in ALL if name not in ("nanny-demo-tls", "nanny-demo-web")])
    assert [(one.name, one.version, one.why) for one in notes.left] == [("nanny-demo-web", "1.1-1", "phased")]


@pytest.mark.rows("F1")
@pytest.mark.parametrize("root", ["trixie"], indirect=True)
def test_programs_that_ask_after_every_upgrade_do_not_ask(root: Root) -> None:
    """needrestart and apt-listchanges as Debian has them, told by their own settings to ask somebody."""
    root.write("/etc/resolv.conf", Path("/etc/resolv.conf").read_text())
    mirror = configured_mirror(Path("/etc/apt"), "trixie")
    root.write("/etc/apt/sources.list.d/debian.list", f"deb [trusted=yes] {mirror} trixie main\n")
    for words in (["update"], ["install", "-y", "--no-install-recommends", "needrestart", "apt-listchanges"]):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
        must_run = run(["chroot", str(root.path), "apt-get", "-q", *words], timeout=100, env=environment)
        assert must_run.exit_code == 0, must_run.stderr.decode()
    (root.path / "etc/apt/sources.list.d/debian.list").unlink()
    root.write("/etc/needrestart/conf.d/ask.conf", "$nrconf{restart} = 'i';\n")
    root.write("/etc/apt/listchanges.conf.d/ask.conf", "[apt]\nfrontend=pager\nconfirm=true\nwhich=both\n")
    news = {"usr/share/doc/nanny-demo-lib/NEWS.Debian": NEWS, "usr/share/doc/nanny-demo-lib/changelog.Debian": NEWS}
    AptRepository(root.path / "srv/nanny-repo").add(Deb("nanny-demo-lib", "2.6-1", news))
    hooks = run(["chroot", str(root.path), "apt-config", "dump"], timeout=20).stdout
    assert b"needrestart" in hooks
    assert b"apt-listchanges" in hooks
    assert root.patch()[:2] == (0, ALL)
