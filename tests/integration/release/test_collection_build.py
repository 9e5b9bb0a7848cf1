"""What a wheelhouse carries of the collection."""

import json
import shutil
from pathlib import Path

from release.collection import PLACE, lay_out
from release.source import ROOT


def test_it_is_what_ansible_galaxy_builds_in_one_order(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("README.md", "COPYING", "galaxy.yml", "meta/runtime.yml"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / PLACE / name, source / name)
    for ignored in ("tests/unit/test_x.py", "plugins/__pycache__/x.pyc", ".ansible/x"):
        (source / ignored).parent.mkdir(parents=True)
        (source / ignored).touch()
    lay_out(tmp_path / "built", source)
    there = sorted(str(path.relative_to(tmp_path / "built")) for path in (tmp_path / "built").rglob("*"))
    assert there == ["COPYING", "FILES.json", "MANIFEST.json", "README.md", "meta", "meta/runtime.yml", "plugins"]
    told = json.loads((tmp_path / "built/FILES.json").read_text())["files"]
    assert [entry["name"] for entry in told] == [".", "COPYING", "README.md", "meta", "meta/runtime.yml", "plugins"]
