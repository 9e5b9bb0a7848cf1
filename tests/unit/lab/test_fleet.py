"""What a plan turns into."""

import pytest

from nanny_ops.errors import SettingsError
from nanny_ops.lab.fleet import LabPlan, containers_of, draw_guests, draw_nodes, stopped_at_first


def test_the_same_seed_gives_the_same_cluster() -> None:
    assert draw_guests(LabPlan(seed=7)) == draw_guests(LabPlan(seed=7))
    assert draw_nodes(LabPlan(seed=7), 2e9) == draw_nodes(LabPlan(seed=7), 2e9)
    assert draw_guests(LabPlan(seed=7)) != draw_guests(LabPlan(seed=8))


@pytest.mark.parametrize("guests", [0, 1, 2, 12, 13, 400])
def test_ids_are_unique_and_two_thirds_are_containers(guests: int) -> None:
    drawn = draw_guests(LabPlan(guests=guests, real=0))
    assert len({guest.vmid for guest in drawn}) == guests
    assert sum(guest.kind == "lxc" for guest in drawn) == containers_of(guests)
    assert len({guest.conf["net0"] for guest in drawn}) == guests


def test_real_containers_live_on_different_nodes_and_run() -> None:
    real = [guest for guest in draw_guests(LabPlan(real=3)) if guest.real]
    assert {guest.node for guest in real} == {"pve1", "pve2", "pve3"}
    assert not any(stopped_at_first(guest) for guest in real)


def test_something_is_stopped_and_one_is_a_template() -> None:
    drawn = draw_guests(LabPlan())
    assert sum(guest.template for guest in drawn) == 1
    assert any(stopped_at_first(guest) and not guest.template for guest in drawn)


@pytest.mark.parametrize(
    "plan", [LabPlan(nodes=0), LabPlan(guests=-1), LabPlan(guests=3, real=3), LabPlan(version="7.4"), LabPlan(real=-1)]
)
def test_an_impossible_plan_is_a_wrong_setting(plan: LabPlan) -> None:
    with pytest.raises(SettingsError):
        plan.check()
