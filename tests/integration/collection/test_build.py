"""The artefact that ansible-galaxy builds can be installed, and works from where it was installed."""

from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tests.integration.collection.conftest import Ansible

COLLECTION = ROOT / "ansible" / "collections" / "ansible_collections" / "nanny" / "ops"
#: Programs of Ansible start slowly where all cores are busy.
pytestmark = pytest.mark.timeout(300)


def test_an_installed_collection_works(ansible: Ansible, tmp_path: Path) -> None:
    built = ansible.program("ansible-galaxy", "collection", "build", str(COLLECTION), "--output-path", str(tmp_path))
    assert built.returncode == 0, built.stderr
    (archive,) = tmp_path.glob("nanny-ops-*.tar.gz")
    there = tmp_path / "installed"
    install = ("collection", "install", str(archive), "-p", str(there), "--offline")
    installed = ansible.program("ansible-galaxy", *install, collections=there)
    assert installed.returncode == 0, installed.stderr
    root = there / "ansible_collections" / "nanny" / "ops"
    names = {str(path.relative_to(root)) for path in root.rglob("*")}
    assert {"plugins/modules/operation.py", "COPYING", "MANIFEST.json", "meta/runtime.yml", "CHANGELOG.md"} <= names
    assert not [name for name in names if name.startswith("tests") or "__pycache__" in name or "ruff" in name]
    asked = ansible.program("ansible", "localhost", "-m", "nanny.ops.agent_info", collections=there)
    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert '"agents"' in asked.stdout
