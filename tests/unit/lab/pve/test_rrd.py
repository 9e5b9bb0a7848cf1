"""Usage over time."""

from nanny_ops.lab.pve.shape.rrd import instants, of_guest
from nanny_ops.lab.pve.state.draft import draft
from nanny_ops.lab.pve.state.guest import Reading
from nanny_ops.lab.pve.state.node import Node
from tests.unit.lab.pve.pretended import asking


def test_each_release_has_its_own_instants() -> None:
    assert [instants("8.4", "hour", 7265.0)[index] for index in (0, -1)] == [7260 - 69 * 60, 7260]
    assert len(instants("9.2", "hour", 7265.0)) == 60
    assert len(instants("9.2", "day", 7265.0)) == 1440


def test_before_a_guest_existed_nothing_is_known_and_little_before_it_was_started() -> None:
    guest = draft(101, "lxc", "pve1", "ct")
    guest.born = 100.0
    rows = of_guest(guest, Reading(True, 1, 100, 5), Node("pve1", 1, "10.0.0.1"), [60, 120, 300], 360.0)
    assert rows[0] == {"time": 60}
    assert set(rows[1]) == {"time", "disk", "maxdisk", "maxcpu", "maxmem"}
    assert set(rows[2]) > {"cpu", "mem", "netin", "netout"}


def test_usage_is_asked_with_a_time_frame() -> None:
    assert asking().refusal("GET", "/nodes/pve1/lxc/101/rrddata")[0] == 400
    assert len(asking().get("/nodes/pve1/qemu/203/rrddata?timeframe=week&cf=MAX")) == 70
