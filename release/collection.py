"""The collection ``nanny.ops`` as ``./run collection`` builds it, laid out where Ansible finds it."""

import hashlib
import json
import sys
import tarfile
import tempfile
from pathlib import Path

from nanny_ops.lab.image import must
from release.source import ROOT

#: Below the repository, below a wheelhouse and below what is installed.
PLACE = Path("ansible/collections/ansible_collections/nanny/ops")
#: What is in it by names and digests, and what names and locks that file in turn.
FILES, MANIFEST = "FILES.json", "MANIFEST.json"
_BUILD_DEADLINE = 120.0


def lay_out(target: Path, source: Path = ROOT / PLACE) -> None:
    """Write what the built collection holds into a directory, the same from the same source. Raises MachineError."""
    galaxy = Path(sys.executable).with_name("ansible-galaxy")
    with tempfile.TemporaryDirectory(prefix="nanny-collection-") as scratch:
        clean = ["env", f"--chdir={source}", f"ANSIBLE_HOME={scratch}/home", "LC_ALL=C.UTF-8"]
        must([*clean, str(galaxy), "collection", "build", "--output-path", scratch], _BUILD_DEADLINE)
        with tarfile.open(next(Path(scratch).glob("nanny-ops-*.tar.gz"))) as built:
            built.extractall(target, filter="data")
    _put_in_order(target)


def _put_in_order(tree: Path) -> None:
    """Sort the list of files, which ansible-galaxy writes in the order in which the file system tells them."""
    told, manifest = (json.loads((tree / name).read_text("utf-8")) for name in (FILES, MANIFEST))
    told["files"].sort(key=lambda entry: entry["name"])
    text = json.dumps(told, indent=True)
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (tree / FILES).write_text(text, "utf-8")
    (tree / MANIFEST).write_text(json.dumps(manifest, indent=True), "utf-8")
