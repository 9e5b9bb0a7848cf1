"""What is installed on a node and runs there, by release: packages, services, processors that machines can have."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("software.json")


@dataclass(frozen=True)
class Package:
    """One package; ``version`` is what is installed or, for one that is not, offered."""

    name: str
    arch: str
    section: str
    version: str
    installed: bool = True


@dataclass(frozen=True)
class Update:
    """One pending update."""

    name: str
    arch: str
    section: str
    old: str
    new: str
    origin: str = "Debian"


@dataclass(frozen=True)
class Service:
    """One unit of systemd, by the words that systemd uses."""

    name: str
    description: str
    active: str
    state: str
    unit: str


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(FILE.read_text())
    return data


def packages(release: str) -> list[Package]:
    """Return the packages that a node of a release reports versions of."""
    rows = _data()[release]["packages"]
    return [Package(name, arch, section, version, bool(there)) for name, arch, section, version, there in rows]


def updates(release: str) -> tuple[Update, ...]:
    """Return the updates that a node of a release usually waits for."""
    return tuple(Update(*row) for row in _data()[release]["updates"])


def services(release: str) -> list[Service]:
    """Return the services that a node of a release knows."""
    return [Service(*row) for row in _data()[release]["services"]]


def processors(release: str) -> list[tuple[str, str]]:
    """Return the models of processors that machines can have, each with its vendor."""
    return [(name, vendor) for name, vendor in _data()[release]["processors"]]


def machines(release: str) -> list[tuple[str, str, str]]:
    """Return the types of machines: id, type, version."""
    return [(name, kind, version) for name, kind, version in _data()[release]["machines"]]
