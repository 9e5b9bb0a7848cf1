"""The shipped rulebooks follow events that there are, each with a position and a ledger of its own."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from nanny_ops.control.services.change import KINDS
from tests.house.tree import ROOT

COLLECTION = ROOT / "ansible/collections/ansible_collections/nanny/ops"
RULEBOOKS = sorted((COLLECTION / "extensions/eda/rulebooks").glob("*.yml"))


@pytest.mark.parametrize("file", RULEBOOKS, ids=lambda path: path.stem)
def test_a_rulebook_follows_events_that_there_are(file: Path) -> None:
    [ruleset] = yaml.safe_load(file.read_text())
    [source] = ruleset["sources"]
    told = source["nanny.ops.events"]
    assert set(told["kinds"]) <= {*KINDS, "gap"}
    assert told["feedback"] is True, "without it an event is lost that was handed over and not yet acted upon"
    assert told["state_file"].endswith(f"/{file.stem}.seq")
    conditions = " ".join(rule["condition"] for rule in ruleset["rules"])
    assert [kind for kind in told["kinds"] if f'"{kind}"' not in conditions] == []
    assert {_done(rule) for rule in ruleset["rules"]} == {"{{ NANNY_OPS_STATE }}/" + file.stem}


def _done(rule: dict[str, Any]) -> str:
    follow = rule["action"]["run_playbook"]
    assert follow["name"] == "nanny.ops.follow_up"
    return str(follow["extra_vars"]["nanny_done"])


def test_the_execution_environment_takes_the_collection_as_it_is() -> None:
    version = yaml.safe_load((COLLECTION / "galaxy.yml").read_text())["version"]
    told = yaml.safe_load((ROOT / "packaging/execution-environment/execution-environment.yml").read_text())
    [taken] = told["dependencies"]["galaxy"]["collections"]
    assert taken["name"] == f"collections/nanny-ops-{version}.tar.gz"
    assert told["additional_build_files"][0]["src"] == f"../../dist/nanny-ops-{version}.tar.gz"
