"""The guests of the recorded installation."""

import json
from functools import lru_cache
from typing import Any

from nanny_ops.lab.pve.state import snapshot
from nanny_ops.lab.pve.state.cluster import Cluster
from nanny_ops.lab.pve.state.guest import Guest
from tests.integration.conformance.naming import Naming
from tests.integration.conformance.recording import DIRECTORY

#: When the first snapshot was taken, in seconds of the epoch.
BEFORE = 1_795_295_005.0


@lru_cache
def _text() -> str:
    return (DIRECTORY / "pve-guests.json").read_text()


def guests(release: str, naming: Naming) -> list[dict[str, Any]]:
    """Return the guests of a release: ``vmid``, ``kind``, ``node``, ``runs`` and the settings, ``conf``."""
    found: list[dict[str, Any]] = json.loads(naming.text(json.dumps(json.loads(_text())[release])))
    return found


def add(cluster: Cluster, naming: Naming) -> None:
    """Create the guests of a cluster's release."""
    for found in guests(cluster.release, naming):
        guest = Guest(found["vmid"], found["kind"], found["node"], found["conf"])
        if parent := guest.conf.pop("parent", None):
            snapshot.take(guest, parent, "before-patch", BEFORE)
        cluster.create(guest)
        if found["runs"]:
            cluster.power.start(guest)
