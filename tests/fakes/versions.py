"""A prefix with versions of the agent that are scripts, and programs that make such versions without pip."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nanny_ops.machine.run import Done
from nanny_ops.machine.update_verbs import StageUpdate
from nanny_ops.machine.versions import Versions
from tests.fakes.release import archive

#: An agent that says its version, passes its self-test, and otherwise tells that it was started.
AGENT = """#!/bin/sh
case $1 in
  --version) echo "nanny-agent {version}" ;;
  self-test) {self_test} ;;
  *) echo "{version} $*" >>{prefix}/started ;;
esac
"""


def make_version(prefix: Path, version: str, name: str = "", self_test: str = "exit 0") -> Path:
    """Lay down one version and return its home."""
    home = prefix / "versions" / (name or version)
    (home / "bin").mkdir(parents=True)
    program = home / "bin/nanny-agent"
    program.write_text(AGENT.format(version=version, prefix=prefix, self_test=self_test))
    program.chmod(0o755)
    return home


def make_prefix(prefix: Path, version: str = "1.0") -> Versions:
    """Return versions of which one is installed and current."""
    prefix.mkdir(exist_ok=True)
    make_version(prefix, version)
    (prefix / "current").symlink_to(f"versions/{version}")
    return Versions(prefix)


def release(folder: Path, version: str, **values: Any) -> StageUpdate:
    """Write a release into a folder and return the order to install it; values replace fields."""
    content = archive(version, {"requirements.txt": b"", "pip.whl": b"", "wheels/a.whl": b"wheel"})
    file = folder / f"{version}.tar"
    file.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    given = {
        "order_id": "update-1", "claim": "c", "release_id": f"nanny-agent-{version}", "version": version,
        "sha256": sha256, "path": str(file),
    }  # fmt: skip
    return StageUpdate(**{**given, **values})


class FakeRun:
    """Makes an environment as ``venv`` and pip would, from the archive's manifest; ``self_test`` is in its script.

    ``fails`` names a word of an argv that ends with an error, and what it then says.
    """

    def __init__(self, prefix: Path, *, self_test: str = "exit 0", fails: tuple[str, str] = ("", "")) -> None:
        self.prefix, self.self_test, self.fails = prefix, self_test, fails
        self.seen: list[Sequence[str]] = []

    def __call__(self, argv: Sequence[str], **_given: Any) -> Done:
        self.seen.append(argv)
        if self.fails[0] and self.fails[0] in argv:
            return Done(argv=tuple(argv), exit_code=1, stdout=b"", stderr=self.fails[1].encode())
        out = b""
        if "venv" in argv:
            manifest = json.loads((self.prefix / ".staging/tree/manifest.json").read_bytes())
            make_version(self.prefix, manifest["version"], Path(argv[-1]).name, self.self_test)
        if argv[-1] == "--version":
            out = f"nanny-agent {Path(argv[0]).parents[1].name.rpartition('-')[0]}\n".encode()
        return Done(argv=tuple(argv), exit_code=0, stdout=out, stderr=b"")
