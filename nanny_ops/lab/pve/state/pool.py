"""Pools: guests and storages under one name, on which privileges can be granted."""

from dataclasses import dataclass, field


@dataclass
class Pool:
    """One pool; a guest is in one pool at most."""

    poolid: str
    comment: str = ""
    vmids: set[int] = field(default_factory=set)
    storages: set[str] = field(default_factory=set)
