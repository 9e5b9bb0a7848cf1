"""What is shipped for ansible-rulebook is right by its own checks, and an execution environment can be laid out."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tests.rulebook.engine import BIN, COLLECTIONS

RULEBOOKS = sorted((COLLECTIONS / "ansible_collections/nanny/ops/extensions/eda/rulebooks").glob("*.yml"))
ENVIRONMENT = ROOT / "packaging/execution-environment/execution-environment.yml"
#: Reads a rulebook as ansible-rulebook does: its schema, its rule sets, and each condition as the engine gets it.
READ = """
import sys, yaml
from ansible_rulebook.json_generator import visit_ruleset
from ansible_rulebook.rules_parser import parse_rule_sets
from ansible_rulebook.validators import Validate
book = yaml.safe_load(sys.stdin)
Validate.rulebook(book)
for one in parse_rule_sets(book, {}):
    visit_ruleset(one, {})
"""


def read(text: str) -> "subprocess.CompletedProcess[str]":
    """Have ansible-rulebook read a rulebook."""
    told = {"PATH": f"{BIN}:/usr/bin:/bin", "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)}
    argv = [BIN / "python", "-c", READ]
    return subprocess.run(
        argv, input=text, capture_output=True, text=True, timeout=120, check=False, env=os.environ | told
    )


@pytest.mark.parametrize("rulebook", RULEBOOKS, ids=lambda path: path.stem)
def test_a_shipped_rulebook_is_valid(rulebook: Path) -> None:
    done = read(rulebook.read_text())
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("right", "wrong"), [("run_playbook:", "run_playbooks:"), ("condition: event", "condition: e..")]
)
def test_what_is_wrong_is_not_valid(right: str, wrong: str) -> None:
    told = RULEBOOKS[0].read_text()
    assert right in told
    assert read(told.replace(right, wrong)).returncode != 0


def test_the_collection_says_what_it_needs() -> None:
    argv = [BIN / "ansible-builder", "introspect", COLLECTIONS]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout
    for needed in ("aiohttp", "cryptography", "default-jre-headless [platform:dpkg]"):
        assert f"'{needed}" in said


def test_an_execution_environment_can_be_laid_out(tmp_path: Path) -> None:
    # Building it needs podman and a registry of images, which is not tried here.
    subprocess.run([ROOT / "run", "collection"], capture_output=True, timeout=300, check=True)
    argv = [
        BIN / "ansible-builder",
        "create",
        "--output-filename",
        "Containerfile",
        "-f",
        ENVIRONMENT,
        "-c",
        tmp_path / "it",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No matches" not in done.stdout + done.stderr
    built = {str(path.relative_to(tmp_path / "it")) for path in (tmp_path / "it").rglob("*") if path.is_file()}
    [tar] = [name for name in built if name.startswith("_build/collections/nanny-ops-")]
    assert "Containerfile" in built
    assert tar.removeprefix("_build/") in (tmp_path / "it/_build/requirements.yml").read_text()
