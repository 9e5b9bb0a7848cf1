"""Releases of the agent: added by operators, signed like scripts, handed out in parts."""

import hashlib
import tarfile
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import BinaryIO

from nanny_ops.control.services import audit
from nanny_ops.control.services import signature as signatures
from nanny_ops.control.services.principal import Person
from nanny_ops.control.services.signing import Signer
from nanny_ops.control.store import release as store
from nanny_ops.control.store import signature as keys
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.release import Release
from nanny_ops.errors import NotFound, ValidationFailed
from nanny_ops.protocol import release as wire
from nanny_ops.protocol.clock import from_micros, micros, stamp
from nanny_ops.protocol.release import MANIFEST, MANIFEST_CAP, identifier, read_manifest
from nanny_ops.protocol.signature import ALGORITHM, ScriptSignature, ScriptSignatures, release_message


def version_of(file: BinaryIO) -> str:
    """Return the version of the archive in a file; blocks. Raises ValidationFailed."""
    try:
        with tarfile.open(fileobj=file, mode="r:*") as archive:
            for entry in archive:
                if entry.name.removeprefix("./") == MANIFEST and entry.isreg() and entry.size <= MANIFEST_CAP:
                    content = archive.extractfile(entry)
                    return read_manifest(content.read() if content is not None else b"")
    except (tarfile.TarError, EOFError, OSError, ValueError) as wrong:
        raise ValidationFailed(f"This is no release of the agent: {wrong}", field="archive") from wrong
    raise ValidationFailed(f"This is no release of the agent: it has no {MANIFEST}.", field="archive")


def add(
    tx: Tx, person: Person, signer: Signer, version: str, sha256: str, size: int, pieces: Iterable[bytes], now: datetime
) -> tuple[Release, bool]:
    """Keep an archive and sign it; return its release, and whether it is new. Raises Forbidden."""
    team_id = person.team_for("operator", "patch")
    release_id = identifier(version, sha256)
    known = store.get(tx, release_id, [team_id])
    if known is None and store.exists(tx, release_id):  # another team has added the same archive; each has its own
        release_id = identifier(version, hashlib.sha256(f"{team_id} {sha256}".encode()).hexdigest())
        known = store.get(tx, release_id, [team_id])
    if known is not None:
        return known, False
    release = Release(release_id, team_id, version, sha256, size, person.id, micros(now))
    store.add(tx, release, pieces)
    made = signer.sign(release_message(release_id, sha256))
    store.sign(tx, release_id, keys.row_id(None, signer.key_id), made, micros(now))
    audit.note(tx, "release.add", release_id, now, team_id, sha256=sha256)
    return release, True


def named(tx: Tx, release_id: str, teams: Collection[str]) -> Release:
    """Return a release of these teams. Raises NotFound."""
    release = store.get(tx, release_id, teams)
    if release is None:
        raise NotFound(f"There is no release '{release_id[:128]}'.")
    return release


def signed_by(tx: Tx, release_id: str, teams: Collection[str], own_key: str) -> ScriptSignatures:
    """Return who signed a release; ``own_key`` names the signature that goes first. Raises NotFound."""
    release = named(tx, release_id, teams)
    found = [one for one in store.signatures(tx, release.id, teams) if not one.retired]
    if not found:
        raise NotFound(f"Nobody whose key is good has signed the release '{release_id}'.")
    found.sort(key=lambda one: (one.key_id != own_key, not one.is_control_plane))
    made = [ScriptSignature(key_id=one.key_id, signature=one.signature) for one in found]
    return ScriptSignatures(algorithm=ALGORITHM, key_id=made[0].key_id, signature=made[0].signature, signatures=made)


def accept(tx: Tx, person: Person, release_id: str, offered: ScriptSignature, now: datetime) -> bool:
    """Keep a signature made elsewhere; False where it is known. Raises NotFound, Forbidden, ValidationFailed."""
    release = named(tx, release_id, person.teams)
    message = release_message(release.id, release.sha256)
    rows = signatures.signing(tx, person, offered, message)
    added = [store.sign(tx, release.id, key.id, offered.signature, micros(now), person.id) for key in rows]
    if any(added):
        audit.note(tx, "release.sign", release.id, now, release.team_id, key=offered.key_id, sha256=release.sha256)
    return any(added)


def rendered(release: Release) -> wire.Release:
    """Return a release as people see it."""
    return wire.Release(
        id=release.id,
        version=release.version,
        sha256=release.sha256,
        size=release.size,
        created_by=release.created_by,
        created_at=stamp(from_micros(release.created_at)),
    )
