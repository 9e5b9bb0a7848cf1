"""Wares: the small packages that a lab offers through package managers other than apt, in an old and a new version."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Ware:
    """One package: ``needs`` are dependencies in the manager's own words, ``security`` marks it as such an update."""

    name: str
    version: str
    needs: tuple[str, ...] = field(default=())
    security: bool = False


#: What a fresh system holds.
INSTALLED = (
    Ware("nanny-lib", "1.0"),
    Ware("nanny-stuck", "1.0"),
    Ware("nanny-tls", "1.0"),
    Ware("nanny-web", "1.0", ("nanny-lib",)),
)
#: What its repository offers: nanny-web needs a newer library and a package that is not there yet.
OFFERED = (
    Ware("nanny-lib", "2.0"),
    Ware("nanny-new", "1.0"),
    Ware("nanny-tls", "1.1", security=True),
    Ware("nanny-web", "2.0", ("nanny-lib >= 2.0", "nanny-new")),
)
#: An update that cannot be installed, for what it needs is nowhere. pacman would refuse every upgrade over it.
STUCK = Ware("nanny-stuck", "2.0", ("nanny-nowhere",))
