"""Addresses that machines tell of themselves: which of them lead from here to another machine."""

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=8192)
def reachable(text: str) -> str:
    """Return an address as it is usually written, empty where no other machine is reached at it.

    Inventories ask for the same ones again and again.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    # Behind a % Python takes any words for the zone of an address. Linux takes the unspecified address for this
    # machine, and an IPv4 address in clothes of IPv6 for what it is: with those, this machine itself could be named.
    if "%" in text or getattr(address, "ipv4_mapped", None) is not None:
        return ""
    return "" if address.is_loopback or address.is_unspecified or address.is_link_local else str(address)
