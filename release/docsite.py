"""Pages about the collection, as Ansible's own are made: ``python -m release.docsite``; a warning is a failure.

Its programs are those of ``requirements/docsite.txt``, which ``./run docsite`` installs. The pages of Ansible's own
documentation that are pointed to stand in :data:`ELSEWHERE`, so that nothing is fetched and a name that neither has is
found.
"""

import argparse
import os
import shutil
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

from nanny_ops.errors import MachineError, NannyError
from nanny_ops.machine.run import run
from release.source import ROOT

NAMESPACE, NAME = "nanny", "ops"
#: Where the programs are.
BIN = ROOT / ".cache/docsite/bin"
COLLECTION = ROOT / "ansible/collections/ansible_collections" / NAMESPACE / NAME
#: Seconds for one step; the longest takes twenty on idle cores.
PATIENCE = 600
ANSIBLE = "https://docs.ansible.com/projects/ansible/latest/"
SETTINGS = "reference_appendices/config.html"
#: Labels and variables of Ansible's own documentation -> their page.
ELSEWHERE = {
    "label action_plugins": "plugins/action.html",
    "label callback_plugins": "plugins/callback.html",
    "label ansible_configuration_settings": SETTINGS,
    "label common_return_values": "reference_appendices/common_return_values.html",
    "envvar ANSIBLE_CACHE_PLUGIN": SETTINGS,
    "envvar ANSIBLE_CACHE_PLUGIN_CONNECTION": SETTINGS,
    "envvar ANSIBLE_CACHE_PLUGIN_PREFIX": SETTINGS,
    "envvar ANSIBLE_CACHE_PLUGIN_TIMEOUT": SETTINGS,
}


def build(scratch: Path, target: Path) -> Path:
    """Write the pages into the directory ``target``, which is made anew, and return it. Raises MachineError."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, mode=0o755)
    title = f"--title={NAMESPACE}.{NAME}"
    _do("antsibull-docs", "sphinx-init", "--use-current", "--fail-on-error", "--squash-hierarchy", title,
        "--sphinx-theme=alabaster", f"--dest-dir={scratch}", f"{NAMESPACE}.{NAME}")  # fmt: skip
    inventory = scratch / "ansible.inv"
    inventory.write_bytes(objects(ELSEWHERE))
    with (scratch / "conf.py").open("a") as settings:
        settings.write(f"\nintersphinx_mapping = {{'ansible': ({ANSIBLE!r}, {str(inventory)!r})}}\n")
    (scratch / "rst").chmod(0o755)
    _do("antsibull-docs", "--config-file", str(scratch / "antsibull-docs.cfg"), "collection", "--cleanup=everything",
        "--fail-on-error", "--use-current", "--squash-hierarchy", f"--dest-dir={scratch / 'rst'}",
        f"{NAMESPACE}.{NAME}")  # fmt: skip
    _do("sphinx-build", "-q", "-b", "html", "-W", "--keep-going", "-c", str(scratch), str(scratch / "rst"),
        str(scratch / "html"))  # fmt: skip
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(scratch / "html", target)
    return target


def objects(elsewhere: dict[str, str]) -> bytes:
    """Return an inventory as Sphinx reads it: where each name of other pages is."""
    lines = [f"{name} std:{kind} -1 {page} {name}\n" for key, page in elsewhere.items() for kind, name in [key.split()]]
    head = "# Sphinx inventory version 2\n# Project: ansible\n# Version: \n# The rest is compressed using zlib.\n"
    return head.encode() + zlib.compress("".join(lines).encode())


def _do(program: str, *argv: str) -> None:
    told = {"PATH": f"{BIN}:/usr/bin:/bin", "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "ansible/collections")}
    done = run([str(BIN / program), *argv], timeout=PATIENCE, cwd=str(COLLECTION), env=os.environ | told)
    said = (done.stdout + done.stderr).decode(errors="replace")
    if done.exit_code or "WARNING" in said:
        raise MachineError(f"{program} says:\n{said[-8000:]}")


def main(argv: Sequence[str] | None = None) -> int:
    """Build the pages and say where they are."""
    parser = argparse.ArgumentParser(prog="./run docsite", description="Build pages about the collection.")
    parser.add_argument("--target", type=Path, default=ROOT / "dist/docsite", help="the directory to write")
    arguments = parser.parse_args(argv)
    try:
        print(build(ROOT / ".cache/docsite-pages", arguments.target))
    except NannyError as wrong:
        print(f"./run docsite: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
