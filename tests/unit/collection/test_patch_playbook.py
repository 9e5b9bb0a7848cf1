"""Playbook ``patch.yml`` holds back by the agent what it holds back without one."""

from typing import Any

import pytest
import yaml

from tests.house.tree import ROOT
from tests.unit.collection.test_agent_role import evaluated


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({}, []),
        ({"patch_holds": [{"name": "linux", "reason": "no"}]}, ["linux"]),
        ({"patch_exclude": "a,b", "patch_holds": [{"name": "c"}]}, ["a", "b", "c"]),
        ({"patch_exclude": ["a"]}, ["a"]),
    ],
)
def test_what_is_held_back_stays_with_an_agent_too(given: dict[str, Any], left: list[str]) -> None:
    (play,) = yaml.safe_load((ROOT / "playbooks/patch.yml").read_text())
    order, known = play["tasks"][0], dict(given)
    for name in ("patch_out", "patch_held", "patch_left"):
        known[name] = evaluated(order["vars"][name], **known)
    assert known["patch_left"] == left
    assert "patch_left" in order["nanny.ops.operation"]["exclude"]
