"""Networks of machines: which addresses they have, and that one that is taken is not taken again."""

from ipaddress import IPv4Network

import pytest

from nanny_ops.errors import MachineError
from nanny_ops.lab import machine_network
from nanny_ops.lab.machine_network import MANY, NETWORKS, free_network, network_of


def test_a_network_has_this_host_first_and_then_the_machines() -> None:
    network = network_of("nm-00002a", "00002a", MANY)
    assert network.addresses == IPv4Network("198.18.5.64/27")
    assert (network.host_address, str(network.interface(2))) == ("198.18.5.65", "198.18.5.66/27")
    assert network.bridge == "br-nm-00002a"


@pytest.mark.parametrize("number", ["000000", "0fffff", "ffffff"])
def test_every_number_stands_for_a_test_network(number: str) -> None:
    assert network_of("x", number, MANY).addresses.subnet_of(NETWORKS)


def test_a_taken_network_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_network, "taken", lambda: [IPv4Network("198.18.0.4/30")])
    assert free_network("x", ["000000", "000001"]).addresses == IPv4Network("198.18.0.32/27")
    with pytest.raises(MachineError, match="are taken"):
        free_network("x", ["000000"])


def test_the_networks_of_this_host_are_read() -> None:
    assert IPv4Network("127.0.0.0/8") in machine_network.taken()
