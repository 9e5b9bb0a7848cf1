"""A bridge of this host on which machines of the lab have their addresses; no other network is reached over it."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network

from nanny_ops.errors import MachineError
from nanny_ops.lab.image import must
from nanny_ops.machine.run import run

#: For tests between networks (RFC 2544): no real network has it.
NETWORKS = IPv4Network("198.18.0.0/15")
#: Bits of a network's own: of one machine and this host, and of up to 29 machines and this host.
PAIR, MANY = 30, 27
TOOL_DEADLINE = 30.0


@dataclass(frozen=True)
class MachineNetwork:
    """A network by the name of its machine or yard; this host has the first address."""

    name: str
    addresses: IPv4Network

    @property
    def bridge(self) -> str:
        """Return the bridge's name on this host."""
        return bridge_of(self.name)

    @property
    def host_address(self) -> str:
        """Return the address under which machines reach this host."""
        return str(self.interface(1).ip)

    def interface(self, place: int) -> IPv4Interface:
        """Return the address at a place, with the network's length: this host is at 1, machines from 2 on."""
        return IPv4Interface((int(self.addresses.network_address) + place, self.addresses.prefixlen))

    def connect(self) -> None:
        """Make the bridge and give this host its address. Raises MachineError."""
        must(["ip", "link", "add", self.bridge, "type", "bridge"], TOOL_DEADLINE)
        must(["ip", "address", "add", str(self.interface(1)), "dev", self.bridge], TOOL_DEADLINE)
        must(["ip", "link", "set", self.bridge, "up"], TOOL_DEADLINE)


def bridge_of(name: str) -> str:
    """Return the name of the bridge of a machine or a yard."""
    return f"br-{name}"


def disconnect(name: str) -> None:
    """Remove the bridge of a machine or a yard; without one, do nothing."""
    run(["ip", "link", "delete", bridge_of(name)], timeout=TOOL_DEADLINE)


def network_of(name: str, number: str, prefix: int) -> MachineNetwork:
    """Return the network that a hexadecimal number stands for; with so few of them, two numbers may have the same."""
    networks = 2 ** (prefix - NETWORKS.prefixlen)
    size = 2 ** (32 - prefix)
    start = int(NETWORKS.network_address) + size * (int(number, 16) % networks)
    return MachineNetwork(name, IPv4Network((start, prefix)))


def taken() -> list[IPv4Network]:
    """Return the networks that this host has addresses in. Raises MachineError."""
    done = run(["ip", "-oneline", "-4", "address", "show"], timeout=TOOL_DEADLINE)
    if done.exit_code != 0:
        raise MachineError(f"'ip address' failed: {done.stderr.decode(errors='replace')[-300:]}")
    rows = (line.split() for line in done.stdout.decode().splitlines())
    return [IPv4Interface(row[3]).network for row in rows]


def free_network(name: str, numbers: Iterable[str], prefix: int = MANY) -> MachineNetwork:
    """Return the network of the first of some numbers that overlaps none of this host's. Raises MachineError."""
    others = taken()
    for number in numbers:
        found = network_of(name, number, prefix)
        if not any(found.addresses.overlaps(other) for other in others):
            return found
    raise MachineError(f"All networks that were tried for {name} are taken on this host.")
