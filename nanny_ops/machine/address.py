"""Which of a machine's addresses are worth telling, and which one is its own."""

import ipaddress
import re
from collections.abc import Mapping, Sequence

#: Interfaces made by container engines, hypervisors and VPN-less bridges; a Proxmox bridge (vmbr0) is not among them.
_VIRTUAL = re.compile(r"docker|br-|virbr|lxcbr|lxdbr|incusbr|podman|cni|flannel|cali|veth|tap|fwbr|fwpr|fwln|vnet|kube")


def usable(addresses: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the addresses of each interface without loopback and link-local ones, IPv4 first."""
    found = {name: [text for text in texts if _is_usable(text)] for name, texts in addresses.items()}
    return {name: sorted(texts, key=lambda text: ":" in text) for name, texts in found.items() if texts}


def primary(addresses: Mapping[str, Sequence[str]], default_route: str = "") -> str:
    """Return the address of the interface with the default route, else the first of a real one, else nothing."""
    found = usable(addresses)
    names = sorted(found, key=lambda name: (name != default_route, _only_six(found[name]), name))
    return next((found[name][0] for name in names if not is_virtual(name)), "")


def every(addresses: Mapping[str, Sequence[str]], default_route: str = "") -> list[str]:
    """Return all usable addresses once each, the primary one first."""
    first = primary(addresses, default_route)
    rest = [text for name in sorted(addresses) for text in usable(addresses).get(name, [])]
    return list(dict.fromkeys([first, *rest] if first else rest))


def is_virtual(name: str) -> bool:
    """Say whether an interface was made for guests and says nothing of the machine itself."""
    return _VIRTUAL.match(name) is not None


def default_route(table: str) -> str:
    """Return the interface of the default route with the lowest metric, from the text of /proc/net/route."""
    rows = [line.split() for line in table.splitlines()[1:]]
    routes = [(int(row[6]), row[0]) for row in rows if len(row) > 7 and row[1] == row[7] == "00000000"]
    return min(routes)[1] if routes else ""


def _is_usable(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if "%" in text:  # a zone means nothing to another machine, and Python takes any words for one
        return False
    return not (address.is_loopback or address.is_link_local or address.is_unspecified)


def _only_six(texts: Sequence[str]) -> bool:
    return all(":" in text for text in texts)
