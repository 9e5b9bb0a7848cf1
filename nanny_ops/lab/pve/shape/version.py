"""What a release calls itself."""

from typing import Any

VERSIONS = {"8.4": ("8.4.21", "2606ac850d46da29"), "9.2": ("9.2.11", "14a22df35955d97d")}

Row = dict[str, Any]


def version(release: str) -> Row:
    """Return what /version answers."""
    number, repoid = VERSIONS[release]
    return {"release": release, "repoid": repoid, "version": number}
