"""What a node tells of its identity is not believed where the inventory knows better; secrets become no file here."""

from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.house.tree import ROOT

ROLE = ROOT / "ansible/collections/ansible_collections/nanny/ops/roles/agent/vars/main.yml"
TASKS = ROOT / "playbooks/tasks/agent_token.yml"
TOLD = {"rotate_status": {"stdout": '{"agent_id": "told"}'}}
FLEET = {"nanny": {"kind": "host", "agent_id": "known"}}


def evaluated(text: str, **variables: Any) -> Any:
    """Evaluate a template as Ansible does."""
    from ansible.template import Templar, trust_as_template  # type: ignore[import-untyped]

    return Templar(variables=variables).template(trust_as_template(text))


@pytest.mark.parametrize(
    ("about", "meant"),
    [
        ({}, "told"),
        ({"nanny_agent_id": "known"}, "known"),
        (FLEET, "known"),
        ({"nanny": {"kind": "lxc", "agent_id": "of its node"}}, ""),
        ({"nanny_guest_id": "guest-1"}, ""),
    ],
)
def test_the_inventory_says_in_whom_the_trust_ends(about: dict[str, Any], meant: str) -> None:
    expression = yaml.safe_load(ROLE.read_text())["agent_known_as"]
    assert evaluated(expression, agent_identity={"stdout": "told"}, **about) == meant


@pytest.mark.parametrize(
    ("about", "refused"),
    [
        ({}, False),
        ({"nanny_agent_id": "told"}, False),
        ({"nanny_agent_id": "known"}, True),
        ({"nanny_guest_id": "guest-1"}, True),
        (FLEET, True),
        ({"nanny": {"kind": "lxc", "agent_id": "told"}}, True),
        ({"nanny": {"kind": "host", "agent_id": "told"}}, False),
    ],
)
def test_no_node_gets_the_token_of_another_one(about: dict[str, Any], refused: bool) -> None:
    (check,) = [one for one in yaml.safe_load(TASKS.read_text()) if "ansible.builtin.assert" in one]
    asked = evaluated("{{ " + check["when"] + " }}", **about)
    known = evaluated(check["vars"]["rotate_known_as"], **about)
    that = "{{ " + check["ansible.builtin.assert"]["that"] + " }}"
    assert (asked and not evaluated(that, rotate_known_as=known, **TOLD)) is refused


@pytest.mark.parametrize("given", ["dist/nanny_9.9.9", "/srv/nanny_9.9.9", "beside.deb"])
@pytest.mark.parametrize(
    ("role", "variable"), [("agent", "agent_package"), ("control_plane", "control_plane_wheelhouse")]
)
def test_a_file_is_named_from_where_a_person_stands(
    role: str, variable: str, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lying = tmp_path / "dist" / "nanny_9.9.9"
    lying.parent.mkdir()
    lying.touch()
    roles = ROLE.parents[2]
    meant = yaml.safe_load((roles / role / "vars/main.yml").read_text())
    known: dict[str, Any] = {"agent_wheelhouse": "", variable: given}
    for name in (f"{role}_from_here", f"{role}_file"):
        known[name] = evaluated(meant[name], **known)
    assert known[f"{role}_file"] == (str(lying) if given.startswith("dist") else given)
    used = [task for file in (roles / role / "tasks").glob("*.yml") for task in tasks(yaml.safe_load(file.read_text()))]
    assert not [task for task in used if "{{ " + variable + " }}" in str(task)]


@pytest.mark.parametrize(
    ("package", "installed", "unit", "asked"),
    [("x.deb", "ii 9.0.0", False, True), ("x.deb", "", False, False), ("x.deb", "rc 9.0.0", False, False),
     ("", "", True, True), ("", "ii 9.0.0", False, False)],
)  # fmt: skip
def test_check_mode_asks_for_no_unit_that_is_not_there(package: str, installed: str, unit: bool, asked: bool) -> None:
    known = {
        "ansible_check_mode": True,
        "agent_identity": {"stat": {"exists": True}},
        "agent_package": package,
        "agent_installed": {"stdout": installed},
        "agent_unit": {"stat": {"exists": unit}},
    }
    known["agent_is_there"] = evaluated(yaml.safe_load(ROLE.read_text())["agent_is_there"], **known)
    start = yaml.safe_load((ROLE.parents[1] / "tasks/present.yml").read_text())[-1]["when"]
    (handler,) = yaml.safe_load((ROLE.parents[1] / "handlers/main.yml").read_text())
    for one in ([start], handler["when"]):
        assert all(evaluated("{{ " + term + " }}", **known) for term in one) is asked
        assert all(evaluated("{{ " + term + " }}", **{**known, "ansible_check_mode": False}) for term in one)


@pytest.mark.parametrize(
    ("groups", "rotated", "rolled"),
    [
        ({"all": [], "agents": [], "guests": []}, "agents", "agents:new"),
        ({"all": [], "nanny_hosts": [], "nanny_lxc": []}, "nanny_hosts", "nanny_hosts"),
        ({"all": [], "nodes": []}, "all", "all"),
    ],
)
def test_no_guest_is_meant_where_nobody_says_which_hosts(groups: dict[str, Any], rotated: str, rolled: str) -> None:
    for name, meant in (("rotate_tokens", rotated), ("rollout_agents", rolled)):
        (play,) = yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text())
        assert evaluated(play["hosts"][0], groups=groups) == meant


def tasks(found: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield tasks with those of their blocks."""
    for one in found:
        for part in ("block", "rescue", "always"):
            yield from tasks(one.get(part, []))
        yield one


def test_no_secret_becomes_a_file_of_the_controller_on_its_way() -> None:
    files = [*(ROOT / "ansible").rglob("roles/*/tasks/*.yml"), *(ROOT / "playbooks" / "tasks").glob("*.yml")]
    hidden = [task for file in files for task in tasks(yaml.safe_load(file.read_text())) if task.get("no_log")]
    assert len(hidden) > 10
    for task in hidden:  # these two write what they bring to a file here first
        assert not {"ansible.builtin.copy", "ansible.builtin.template"} & task.keys(), task["name"]


def test_a_release_lies_in_the_folder_of_releases_whatever_id_was_asked_for() -> None:
    (block,) = yaml.safe_load((ROOT / "playbooks/tasks/release.yml").read_text())[:1]
    told = {"json": {"version": "0.2.0", "sha256": "0f" * 32, "id": "nanny-agent-0.2.0"}}
    evil = {"rollout_wanted": "x?y=/../../../etc", "release_root": "/run", "release_told": told}
    evil["release_folder"] = evaluated(block["vars"]["release_folder"], **evil)
    paths = [
        step.get("ansible.builtin.file", step.get("ansible.builtin.stat", {})).get("path") for step in tasks([block])
    ]
    found = [evaluated(path, **evil) for path in paths if path]
    assert len(found) == 3
    assert all(path.startswith("/run/releases/0f0f") and ".." not in path for path in found)
    assert "?" not in evaluated(block["vars"]["release_at"].rpartition("/")[2], **evil)


def test_what_a_host_tells_of_itself_stands_in_for_no_variable() -> None:
    settings = ConfigParser()
    settings.read(ROOT / "ansible.cfg")
    assert settings.getboolean("defaults", "inject_facts_as_vars") is False
