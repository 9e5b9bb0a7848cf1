"""A yard's plan is what a scenario of Molecule says, and refused where it makes no sense."""

import json
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.errors import SettingsError
from nanny_ops.lab import yard_plan
from nanny_ops.lab.fleet import draw_guests
from nanny_ops.lab.yard_plan import MachinePlan, YardPlan


def plan(*machines: dict[str, Any], **more: Any) -> YardPlan:
    return yard_plan.read(json.dumps({"machines": machines, **more}).encode())


def test_what_only_molecule_knows_is_passed_over() -> None:
    found = plan({"name": "a", "image": "bookworm", "groups": ["nodes"]}, control_plane=False)
    assert found == YardPlan([MachinePlan("a", "bookworm")], control_plane=False)
    assert plan(address="127.0.0.1").machines == []


@pytest.mark.parametrize(
    ("machines", "said"),
    [
        ([], "has 1 to 8 machines, not 0"),
        ([{"name": "a"}, {"name": "a"}], "same name"),
        ([{"name": "a", "image": "plan9"}], "no image 'plan9'; there is: bookworm, fedora, opensuse, trixie"),
        ([{"name": "a", "image": "fedora", "updates": True}], "has updates anyway"),
        ([{"image": "trixie"}], "missing required field `name`"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(machines: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        plan(*machines)


def test_a_cluster_has_a_container_on_each_node() -> None:
    machines = [{"name": "plane"}, *({"name": f"pve{number}", "lab": True} for number in (1, 2, 3))]
    found = plan(*machines, proxmox="9.2")
    assert found.nodes == ["pve1", "pve2", "pve3"]
    assert [(guest.node, guest.real) for guest in draw_guests(found.cluster)][:3] == [
        ("pve1", True),
        ("pve2", True),
        ("pve3", True),
    ]
    assert plan(*machines).nodes == []


@pytest.mark.parametrize(
    ("machines", "release", "said"),
    [
        ([{"name": "pve1", "lab": True}], "7.4", "7.4 is unknown"),
        ([{"name": "one", "lab": True}], "9.2", "Nodes are named pve1"),
        ([{"name": "pve1"}], "9.2", "1 to 128 nodes, not 0"),
    ],
)
def test_a_cluster_that_makes_no_sense_is_refused(machines: list[dict[str, Any]], release: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        plan(*machines, proxmox=release)


def test_updates_lie_on_the_image_of_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yard_plan, "machine_image", lambda cache, suite, mirror: cache / suite)
    monkeypatch.setattr(yard_plan, "prepared_image", lambda cache, mirror="", base=None: Path(f"{base or cache}-demo"))
    assert yard_plan.lay(MachinePlan("a", "bookworm"), tmp_path) == tmp_path / "bookworm"
    assert yard_plan.lay(MachinePlan("a", updates=True), tmp_path) == tmp_path / "trixie-demo"
    shown = yard_plan.binds(MachinePlan("a", lab=True, binds={"/data": "/srv/data"}), tmp_path, Path("/x/nanny_ops"))
    assert shown == {
        Path("/data"): "/srv/data",
        Path("/x/nanny_ops"): "/srv/code/nanny_ops",
        Path(f"{tmp_path}-demo"): "/srv/guest",
    }
