"""Files that install agent and control plane where there is no internet: ``python -m release.wheelhouse``.

Each is a tar without compression, for wheels are compressed, of: ``wheels/``; ``requirements.txt``, which locks
each by its SHA-256; ``pip.whl``, which installs them; ``install.sh`` with ``product.sh``; what a service needs
(``systemd/``, ``sysusers.d/``, ``tmpfiles.d/``, settings); of the control plane ``ansible/``, a directory with the
built collection; and ``manifest.json``: ``format``, ``name``, ``version``, ``machine``, ``pythons`` and ``files``, the
SHA-256 of every other file by its path.
"""

import argparse
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nanny_ops.errors import NannyError
from release import collection
from release.lock import conditions
from release.product import AGENT, PRODUCTS, Product
from release.source import ROOT, built_at, demand_version, own_wheel, version_of
from release.wheel import MACHINES, PYTHONS, Wheel, architecture, fetch

#: Raised when an older installer could not read the file.
FORMAT = 1
MANIFEST = "manifest.json"
CACHE = ROOT / ".cache/release"
PACKAGING = ROOT / "packaging"


def build(version: str, epoch: int, target: Path, machine: str, cache: Path = CACHE, product: Product = AGENT) -> Path:
    """Write the wheelhouse of a version into the directory ``target`` and return its file. Raises MachineError."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nanny-wheelhouse-") as scratch:
        tree = Path(scratch)
        lay_out(wheels_of(product, version, epoch, tree / "own", machine, cache), tree / "tree", product)
        (tree / "tree" / MANIFEST).write_text(manifest(version, machine, tree / "tree", product))
        return pack(tree / "tree", epoch, target / f"{product.name}-{version}.tar")


def wheels_of(
    product: Product, version: str, epoch: int, scratch: Path, machine: str, cache: Path = CACHE
) -> list[Wheel]:
    """Return the project's own wheel and all that a product needs, with pip as the last. Raises MachineError."""
    found = fetch(locks_of(product), machine, cache)
    scratch.mkdir()
    own = Wheel(own_wheel(version, epoch, scratch))
    return sorted([own, *found], key=lambda wheel: (wheel.name == "pip", wheel.path.name))


def locks_of(product: Product) -> list[Path]:
    """Return the files that lock what a product needs."""
    return [ROOT / "requirements" / f"{lock}.txt" for lock in product.locks]


def lay_out(wheels: Sequence[Wheel], tree: Path, product: Product = AGENT) -> None:
    """Copy wheels, installer and lock to their places below ``tree``."""
    (tree / "wheels").mkdir(parents=True)
    for wheel in wheels:
        shutil.copyfile(wheel.path, tree / ("pip.whl" if wheel.name == "pip" else f"wheels/{wheel.path.name}"))
    (tree / "requirements.txt").write_text(requirements(wheels, product))
    for name, folder in product.folders.items():
        shutil.copytree(PACKAGING / folder, tree / name)
    for name, source in product.files.items():
        shutil.copy(PACKAGING / source, tree / name)
    if product.collection:
        collection.lay_out(tree / collection.PLACE)


def requirements(wheels: Sequence[Wheel], product: Product = AGENT) -> str:
    """Return what pip installs: each distribution once for a Python, with the hashes of the wheels that are carried."""
    asked = conditions(locks_of(product))
    hashes: dict[str, list[str]] = {}
    for wheel in wheels:
        if wheel.name != "pip":
            extra = f"[{product.extras}]" if wheel.name == "nanny-ops" else ""
            pin = f"{wheel.name}=={wheel.version}"
            line = f"{wheel.name}{extra}=={wheel.version}" + (f" ; {asked[pin]}" if asked.get(pin) else "")
            hashes.setdefault(line, []).append(f"--hash=sha256:{wheel.digest}")
    return "".join(f"{pin} {' '.join(sorted(found))}\n" for pin, found in sorted(hashes.items()))


def manifest(version: str, machine: str, tree: Path, product: Product = AGENT) -> str:
    """Return the manifest of a directory as JSON with sorted keys."""
    files = {str(path.relative_to(tree)): _digest(path) for path in sorted(tree.rglob("*")) if path.is_file()}
    told = {"format": FORMAT, "name": product.name, "version": version}
    told |= {"machine": machine, "pythons": PYTHONS, "files": files}
    return json.dumps(told, indent=1, sort_keys=True) + "\n"


def pack(tree: Path, epoch: int, target: Path) -> Path:
    """Write a directory's files as a tar that depends on nothing but them and ``epoch``, by one rename."""
    growing = target.with_name(f".{target.name}.new")
    with tarfile.open(growing, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(path for path in tree.rglob("*") if path.is_file()):
            member = tarfile.TarInfo(str(path.relative_to(tree)))
            content = path.read_bytes()
            member.size, member.mtime = len(content), epoch
            member.mode = 0o755 if os.access(path, os.X_OK) else 0o644
            tar.addfile(member, io.BytesIO(content))
    return growing.rename(target)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(argv: Sequence[str] | None = None) -> int:
    """Write the wheelhouses of all products, print their paths and return the exit code."""
    parser = argparse.ArgumentParser(prog="./run wheelhouse", description=__doc__.splitlines()[0])
    parser.add_argument("--version", help="Version to give it, instead of the one in the source.")
    names = [product.name for product in PRODUCTS]
    parser.add_argument("--product", choices=names, action="append", help="Which one, instead of all; repeatable.")
    parser.add_argument("--target", type=Path, default=ROOT / "dist", help="Directory to write to.")
    options = parser.parse_args(argv)
    try:
        version = demand_version(options.version or version_of())
        epoch, machine = built_at(os.environ), MACHINES[architecture()]
        for product in (one for one in PRODUCTS if one.name in (options.product or names)):
            print(build(version, epoch, options.target, machine, product=product))
    except NannyError as wrong:
        print(f"./run wheelhouse: {wrong.message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
