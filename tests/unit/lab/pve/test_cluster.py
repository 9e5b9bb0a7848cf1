"""What changes a pretended cluster."""

import pytest

from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.draft import draft
from nanny_ops.lab.pve.state.guest import Figures, Reading
from tests.unit.lab.pve.pretended import Memory, cluster


def test_a_guest_is_found_on_its_node_by_its_kind_only() -> None:
    made = cluster()
    assert made.find("pve1", "lxc", 101).name == "web1"
    for node, kind, where in (("pve2", "lxc", "lxc"), ("pve1", "qemu", "qemu-server")):
        with pytest.raises(Refusal) as refused:
            made.find(node, kind, 101)  # type: ignore[arg-type]
        assert refused.value.text == f"Configuration file 'nodes/{node}/{where}/101.conf' does not exist"


def test_migration_moves_the_configuration_and_lets_it_run() -> None:
    made = cluster()
    made.migrate(101, "pve2")
    assert made.find("pve2", "lxc", 101)
    assert made.power.read(made.guests[101]).running
    assert isinstance(made.records, Memory)
    assert made.records.removed == [(101, "pve1")]
    assert made.records.written[-1] == (101, "pve2")


def test_a_destroyed_guest_is_gone_with_its_power() -> None:
    made = cluster()
    guest = made.guests[101]
    made.destroy(101)
    assert 101 not in made.guests
    assert made.power.read(guest) == Reading()


def test_an_id_is_taken_once() -> None:
    with pytest.raises(Refusal, match="CT 101 already exists on node 'pve1'"):
        cluster().create(draft(101, "lxc", "pve2", "again"))


def test_settings_are_changed_and_removed() -> None:
    made = cluster()
    made.update(101, lock="backup")
    assert made.guests[101].lock == "backup"
    made.update(101, lock=None)
    assert made.guests[101].lock == ""


def test_half_of_the_nodes_is_no_quorum() -> None:
    made = cluster()
    made.set_online("pve2", online=False)
    with pytest.raises(Refusal, match="cluster not ready - no quorum"):
        made.need_quorum()
    made.set_online("pve2", online=True)
    made.need_quorum()


def test_figures_follow_the_clock() -> None:
    now = [100.0]
    figures, guest = Figures(lambda: now[0]), draft(200, "qemu", "pve1", "vm")
    figures.start(guest)
    now[0] = 160.0
    assert figures.read(guest).uptime == 60


@pytest.mark.rows("PVE-36")
def test_a_node_that_has_just_crashed_is_still_told_to_be_online() -> None:
    made = cluster()
    made.crash("pve2")
    assert (made.nodes["pve2"].online, made.quorate, made.told_quorate) == (True, False, True)
    assert made.nodes["pve2"].trouble()[0] == "No route to host"
    made.set_online("pve2", online=False)
    made.expect_one()
    assert (made.quorate, made.told_quorate) == (True, False)
