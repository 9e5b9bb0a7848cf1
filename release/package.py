"""The Debian package of the agent, made by dpkg-deb alone: ``python -m release.package``.

One package fits every Debian whose Python is in ``PYTHONS``: it is a virtual environment of files that dpkg knows, with
the compiled parts for each version side by side. So nothing is installed by pip on the machine, an upgrade of Debian
takes the agent along, and ``dpkg --verify`` tells what was changed.
"""

import argparse
import gzip
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nanny_ops.errors import NannyError
from nanny_ops.lab.image import must
from release.product import AGENT
from release.site_packages import demand_all, lay_out
from release.source import ROOT, built_at, demand_version, version_of
from release.wheel import MACHINES, PYTHONS, architecture
from release.wheelhouse import CACHE, PACKAGING, wheels_of

HOME = "opt/nanny-agent"
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
#: Commands and the functions that they are.
COMMANDS = {"nanny-agent": "nanny_ops.cli.node", "nanny-agent-helper": "nanny_ops.helper.app"}
#: Parts of the project that the agent never imports; what they import is not in the package.
NOT_FOR_AGENTS = ("nanny_ops/control/", "nanny_ops/lab/", "nanny_ops/shipped_playbooks/")
#: Folder of the repository -> where its files go.
PLACES = {
    "systemd": "usr/lib/systemd/system",
    "sysusers.d": "usr/lib/sysusers.d",
    "tmpfiles.d": "usr/lib/tmpfiles.d",
}
UNITS = (".service", ".socket", ".slice", ".timer", ".path", ".target", ".conf")
_BUILD_DEADLINE = 120.0
LAUNCHER = """#!/{home}/bin/python -I
import sys

from {module} import main

if __name__ == "__main__":
    sys.exit(main())
"""


def debian_version(version: str) -> str:
    """Return how dpkg writes a version, so that it sorts what comes before a release before it."""
    return re.sub(r"\.?(a|b|rc|dev)([0-9]+)$", r"~\1\2", version)


def build(version: str, epoch: int, target: Path, architecture: str, cache: Path = CACHE) -> Path:
    """Write the package of a version into the directory ``target`` and return its file. Raises MachineError."""
    target.mkdir(parents=True, exist_ok=True)
    file = target / f"{AGENT.name}_{debian_version(version)}_{architecture}.deb"
    with tempfile.TemporaryDirectory(prefix="nanny-package-") as scratch:
        tree = Path(scratch) / "tree"
        _lay_out_home(tree / HOME, version, epoch, MACHINES[architecture], cache)
        _lay_out_rest(tree)
        _lay_out_control(tree, version, architecture)
        _settle(tree, epoch)
        clean = ["env", f"SOURCE_DATE_EPOCH={epoch}", "LC_ALL=C.UTF-8"]
        pack = ["dpkg-deb", "--root-owner-group", "--threads-max=1", "-Zxz", "--build", str(tree), str(file)]
        must([*clean, *pack], _BUILD_DEADLINE)
    return file


def _lay_out_home(home: Path, version: str, epoch: int, machine: str, cache: Path) -> None:
    """Make the virtual environment (PEP 405): a link to the interpreter, one directory for all its versions."""
    (home / "bin").mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="nanny-wheels-") as scratch:
        found = wheels_of(AGENT, version, epoch, Path(scratch) / "own", machine, cache)
        wheels = [one for one in found if one.name != "pip"]
        demand_all(wheels, PYTHONS)
        lay_out(wheels, home / "lib/python3/site-packages", lambda name: not name.startswith(NOT_FOR_AGENTS))
    for python in PYTHONS:
        (home / f"lib/python{python}").symlink_to("python3")
    (home / "bin/python").symlink_to("/usr/bin/python3")
    (home / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    for command, module in COMMANDS.items():
        (home / "bin" / command).write_text(LAUNCHER.format(home=HOME, module=module))
        (home / "bin" / command).chmod(0o755)


def _lay_out_rest(tree: Path) -> None:
    for folder, place in PLACES.items():
        for file in sorted(path for path in (PACKAGING / folder).iterdir() if path.suffix in UNITS):
            _copy(file, tree / place / file.name)
    _copy(PACKAGING / "debian/agent.toml", tree / "etc/nanny-ops/agent.toml")
    _copy(PACKAGING / "debian/copyright", tree / f"usr/share/doc/{AGENT.name}/copyright")
    changes = gzip.compress((ROOT / "CHANGELOG.md").read_bytes(), mtime=0)
    (tree / f"usr/share/doc/{AGENT.name}/changelog.gz").write_bytes(changes)
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/nanny-agent").symlink_to(f"/{HOME}/bin/nanny-agent")


def _lay_out_control(tree: Path, version: str, architecture: str) -> None:
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    settings = [path for path in files if path.relative_to(tree).parts[0] == "etc"]
    others = [path for path in files if path not in settings]
    told = [(hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(), path) for path in others]
    size = sum(-(-path.stat().st_size // 1024) for path in files)
    control = tree / "DEBIAN"
    control.mkdir()
    (control / "md5sums").write_text("".join(f"{digest}  {path.relative_to(tree)}\n" for digest, path in told))
    (control / "conffiles").write_text("".join(f"/{path.relative_to(tree)}\n" for path in settings))
    for script in SCRIPTS:
        _copy(PACKAGING / "debian" / script, control / script)
    _copy(PACKAGING / "debian/triggers", control / "triggers")
    first, last = PYTHONS[0], PYTHONS[-1]
    words = {"VERSION": debian_version(version), "ARCHITECTURE": architecture, "SIZE": str(size), "FIRST": first}
    words["BEYOND"] = f"3.{int(last.split('.')[1]) + 1}"
    text = (PACKAGING / "debian/control").read_text("utf-8")
    (control / "control").write_text(re.sub("@([A-Z]+)@", lambda found: words[found[1]], text))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)


def _settle(tree: Path, epoch: int) -> None:
    """Give everything the modes and the time that do not depend on who builds."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Write a package, print its path and return the exit code."""
    parser = argparse.ArgumentParser(prog="./run package", description=__doc__.splitlines()[0])
    parser.add_argument("--version", help="Version to give it, instead of the one in the source.")
    parser.add_argument("--target", type=Path, default=ROOT / "dist", help="Directory to write to.")
    options = parser.parse_args(argv)
    try:
        version = demand_version(options.version or version_of())
        print(build(version, built_at(os.environ), options.target, architecture()))
    except NannyError as wrong:
        print(f"./run package: {wrong.message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
