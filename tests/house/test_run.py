"""The front door says what it can do, and says no with exit code 2."""

import subprocess
from pathlib import Path

import pytest

from tests.house.tree import ROOT


def _run(*words: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([ROOT / "run", *words], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_alone_it_lists_its_commands(tmp_path: Path) -> None:
    done = _run(cwd=tmp_path)
    assert done.returncode == 0
    for command in (
        "setup",
        "demo",
        "test",
        "lint",
        "bench",
        "package",
        "wheelhouse",
        "molecule",
        "coverage-of-spec",
        "lock",
    ):
        assert f"  {command}" in done.stdout


@pytest.mark.parametrize("words", [("paint",), ("molecule", "nowhere")])
def test_what_it_cannot_do_is_exit_code_2(words: tuple[str, ...]) -> None:
    done = _run(*words)
    assert done.returncode == 2
    assert "./run" in done.stderr


def test_ci_types_what_people_type() -> None:
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("./run")]
    scenarios = "./run molecule upgrade_from_previous patch_rhel"
    assert lines == ["./run setup", "./run lint", scenarios, "./run test", "./run coverage-of-spec"]
