"""Scripts: those that ship with the product, and those that operators add."""

import hashlib
from datetime import datetime
from importlib import resources

from nanny_ops.control.store import script as store
from nanny_ops.control.store.database import Tx
from nanny_ops.protocol.clock import micros

#: Which distribution families each shipped script serves (ID and ID_LIKE of os-release, and Proxmox's ostype).
FAMILIES: dict[str, tuple[str, ...]] = {"apt": ("debian", "ubuntu", "devuan", "linuxmint", "raspbian", "proxmox")}


def identifier(name: str, sha256: str) -> str:
    """Return the id of a version: the name, and as much of its checksum as nobody confuses."""
    return f"{name}-{sha256[:16]}"


def ship(tx: Tx, now: datetime) -> None:
    """Write the versions that this release brings, unless they are there."""
    known = {script.id for script in store.shipped(tx)}
    for name, families in FAMILIES.items():
        content = (resources.files("nanny_ops") / "patch_scripts" / f"{name}.sh").read_bytes()
        checksum = hashlib.sha256(content).hexdigest()
        if identifier(name, checksum) not in known:
            store.add(
                tx,
                store.Script(
                    id=identifier(name, checksum),
                    team_id=None,
                    name=name,
                    description=f"Upgrades packages with {name}.",
                    content=content,
                    sha256=checksum,
                    shipped=True,
                    families=list(families),
                    created_at=micros(now),
                ),
            )
