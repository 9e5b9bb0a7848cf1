"""Scripts: those that ship with the product, and those that operators add."""

import hashlib
import re
from collections.abc import Collection, Iterator
from datetime import datetime

from nanny_ops.control.services import audit
from nanny_ops.control.services.principal import Person, Principal
from nanny_ops.control.store import script as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.script import Script
from nanny_ops.errors import NoScriptForTarget, NotFound, ValidationFailed
from nanny_ops.patch_scripts.assembled import assembled
from nanny_ops.patch_scripts.distribution import SERVED, script_for
from nanny_ops.protocol.clock import from_micros, micros, stamp
from nanny_ops.protocol.patch import ScriptUpload, ScriptVersion

#: A name becomes part of an address.
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def identifier(name: str, sha256: str) -> str:
    """Return the id of a version: the name, and as much of its checksum as nobody confuses."""
    return f"{name}-{sha256[:16]}"


def ship(tx: Tx, now: datetime) -> None:
    """Write the versions that this release brings, unless they are there."""
    known = {script.id for script in store.shipped(tx)}
    for script_id, name, content, checksum in shipping():
        if script_id not in known:
            store.add(
                tx,
                Script(
                    id=script_id,
                    team_id=None,
                    name=name,
                    description=f"Upgrades packages with {name}.",
                    content=content,
                    sha256=checksum,
                    shipped=True,
                    families=list(SERVED[name]),
                    created_at=micros(now),
                ),
            )


def shipping() -> Iterator[tuple[str, str, bytes, str]]:
    """Yield id, name, content and SHA-256 of each script that this release brings."""
    for name in SERVED:
        content = assembled(f"{name}.sh")
        checksum = hashlib.sha256(content).hexdigest()
        yield identifier(name, checksum), name, content, checksum


def add(tx: Tx, person: Person, upload: ScriptUpload, now: datetime) -> tuple[Script, bool]:
    """Keep a script; return its version, and whether it is a new one. Raises Forbidden, ValidationFailed."""
    team_id = person.team_for("operator", "patch")
    content = _checked(upload)
    checksum = hashlib.sha256(content).hexdigest()
    script_id = identifier(upload.name, checksum)
    known = store.get(tx, script_id, [team_id])
    if known is None and store.exists(tx, script_id):  # another team's: its script is none of this team's business
        script_id = identifier(upload.name, hashlib.sha256(team_id.encode() + content).hexdigest())
        known = store.get(tx, script_id, [team_id])
    if known is not None:
        return known, False
    script = Script(
        id=script_id,
        team_id=team_id,
        name=upload.name,
        description=upload.description.replace("\0", ""),
        content=content,
        sha256=checksum,
        shipped=False,
        families=[],
        created_at=micros(now),
        created_by=person.id,
    )
    store.add(tx, script)
    audit.note(tx, "script.add", script.id, now, team_id, sha256=script.sha256)
    return script, True


def named(tx: Tx, script_id: str, teams: Collection[str]) -> Script:
    """Return a version that these teams may use. Raises NotFound."""
    script = store.get(tx, script_id, teams)
    if script is None:
        raise NotFound(f"There is no script '{script_id}'.")
    return script


def fetched(tx: Tx, script_id: str, who: Principal, now: datetime) -> Script:
    """Return a version that is handed out, and note to whom. Raises NotFound."""
    script = named(tx, script_id, who.teams)
    audit.note(tx, "script.download", script.id, now, script.team_id or "", sha256=script.sha256)
    return script


def for_families(tx: Tx, families: Collection[str]) -> Script:
    """Return the newest shipped version of the script that serves the first of these words that one serves.

    A word is a name of a distribution, or with its version, ``centos:7.9``. Raises NoScriptForTarget.
    """
    words = [word for family in families for word in family.lower().split()]
    name, why = script_for(words)
    for script in store.shipped(tx):
        if script.name == name:
            return script
    told = ", ".join(sorted(set(words))) or "an unknown system"
    raise NoScriptForTarget(f"{why or f'No shipped script serves {told}.'} Name one with script_id.")


def rendered(script: Script) -> ScriptVersion:
    """Return a version as people see it in a list."""
    return ScriptVersion(
        id=script.id,
        name=script.name,
        description=script.description,
        sha256=script.sha256,
        shipped=script.shipped,
        families=script.families,
        created_by=script.created_by,
        created_at=stamp(from_micros(script.created_at)),
    )


def _checked(upload: ScriptUpload) -> bytes:
    if not NAME.fullmatch(upload.name):
        raise ValidationFailed("name: use lower-case letters, digits, '.', '_' and '-' only.", field="name")
    first = upload.content.split("\n", 1)[0]
    if not first.startswith("#!") or not first[2:].strip():
        raise ValidationFailed("content: a script begins with '#!' and its interpreter.", field="content")
    if first.endswith("\r"):
        raise ValidationFailed("content: the lines end as Windows ends them; Linux would not run it.", field="content")
    if "\0" in upload.content:
        raise ValidationFailed("content: there is a NUL character in it; scripts are text.", field="content")
    try:
        return upload.content.encode()
    except UnicodeEncodeError:
        raise ValidationFailed("content: there are characters in it that are not Unicode.", field="content") from None
