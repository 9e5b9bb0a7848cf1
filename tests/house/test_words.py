"""Nothing that is committed names one particular machine, or where packages were fetched."""

import re
from pathlib import Path

import pytest

from tests.house.tree import ROOT, tracked_files

#: Written in pieces, so that this file does not match itself.
WORKSPACE = re.compile(r"(?:^|[^\w./-])/(?:" + "|".join(["wo" + "rk", "fa" + "rm", "home/" + r"\w+"]) + r")/")
REGISTRY = re.compile(r"https?://|(?:index|registry|find-links)[-_]?url|--find-links|-i |file://")
#: The longest file that is read; larger ones are recorded data.
LARGEST = 1_000_000


def _text(path: Path) -> str:
    data = path.read_bytes()[:LARGEST]
    return "" if b"\0" in data else data.decode(errors="replace")


def test_no_file_names_a_path_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()[:100]}"
        for path in tracked_files()
        for line in _text(path).splitlines()
        if WORKSPACE.search(line)
    ]
    assert not found


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_locks_name_no_registry(lock: Path) -> None:
    assert not REGISTRY.search(lock.read_text())


@pytest.mark.parametrize("name", ["agent", "ansible", "control", "dev"])
def test_everything_locked_has_a_hash(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines
    assert [line for line in lines if not re.search(r"^\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)] == []


def test_the_patterns_find_what_they_are_for() -> None:
    assert WORKSPACE.search("see /" + "work/x")
    assert not WORKSPACE.search("/var/lib/net" + "work/interfaces")
    assert REGISTRY.search("--extra-index-" + "url x")
