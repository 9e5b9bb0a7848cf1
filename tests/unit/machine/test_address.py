"""Which address is a machine's own."""

import pytest

from nanny_ops.machine.address import default_route, every, primary

NODE = {
    "lo": ["127.0.0.1", "::1"],
    "docker0": ["172.17.0.1"],
    "br-12ab": ["172.18.0.1"],
    "vmbr0": ["fe80::1", "fd00::1%{{ 7 }}", "2001:db8::1", "10.0.1.5"],
    "eno1": [],
    "tap100i0": ["169.254.1.1"],
}


def test_a_proxmox_bridge_is_the_machine_and_docker_is_not():
    assert primary(NODE) == "10.0.1.5"
    assert every(NODE) == ["10.0.1.5", "172.18.0.1", "172.17.0.1", "2001:db8::1"]


def test_the_default_route_decides():
    two = {"eth0": ["10.0.0.1"], "eth1": ["192.0.2.1"]}
    assert primary(two) == "10.0.0.1"
    assert primary(two, "eth1") == "192.0.2.1"


@pytest.mark.parametrize("name", ["docker0", "br-1", "virbr0", "veth12", "cni0", "lxcbr0"])
def test_a_virtual_bridge_is_never_primary_even_with_the_route(name):
    assert primary({name: ["172.17.0.1"]}, name) == ""
    assert primary({name: ["172.17.0.1"], "ens3": ["2001:db8::2"]}, name) == "2001:db8::2"


def test_no_network_at_all():
    assert primary({"lo": ["127.0.0.1"]}) == ""
    assert every({}) == []


def test_the_routes_with_the_lowest_metric():
    header = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    rows = [
        "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0",
        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0",
        "eth1\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
    ]
    assert default_route(header + "\n".join(rows)) == "eth0"
    assert default_route(header) == ""
    assert default_route("") == ""
