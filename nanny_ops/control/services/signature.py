"""Which keys there are, what they have signed, and what agents are told of them."""

from collections.abc import Collection
from datetime import datetime

from nanny_ops.control.services import audit
from nanny_ops.control.services.principal import Person
from nanny_ops.control.services.script import named, shipping
from nanny_ops.control.services.signing import Signer, is_genuine
from nanny_ops.control.store import signature as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.script import Script
from nanny_ops.control.store.signature import Key
from nanny_ops.errors import Conflict, Forbidden, NotFound, ValidationFailed
from nanny_ops.protocol.clock import micros, stamp_micros
from nanny_ops.protocol.signature import (
    ALGORITHM,
    KEY_SIZE,
    MOST_KEYS,
    SIGNATURE_SIZE,
    Endorsement,
    Origin,
    ScriptSignature,
    ScriptSignatures,
    SigningKey,
    SigningKeyEntry,
    SigningKeyUpload,
    decode,
    key_id,
    key_message,
    script_message,
)

#: What the control plane calls its own key.
OWN_NAME = "control plane"


def adopt(tx: Tx, signer: Signer, now: datetime) -> None:
    """Enter the control plane's own key, and sign what ships with it.

    A key that was not known before also signs what operators have added until then; later additions are signed as they
    come, so that a row that was slipped into the database gets no signature by a restart.
    """
    key_pk = store.row_id(None, signer.key_id)
    is_new = store.get_key(tx, key_pk) is None
    if is_new:
        store.add_key(
            tx,
            Key(key_pk, signer.key_id, None, signer.public_key, OWN_NAME, is_control_plane=True, added_at=micros(now)),
        )
    ours = {script_id: checksum for script_id, _, _, checksum in shipping()}
    for script_id, checksum in store.unsigned(tx, key_pk):
        if is_new or ours.get(script_id) == checksum:
            store.add(tx, script_id, key_pk, signer.sign(script_message(script_id, checksum)), micros(now))


def sign(tx: Tx, signer: Signer, script: Script, now: datetime) -> None:
    """Sign a script that was just added with the control plane's own key."""
    message = script_message(script.id, script.sha256)
    store.add(tx, script.id, store.row_id(None, signer.key_id), signer.sign(message), micros(now))


def of_script(tx: Tx, script_id: str, teams: Collection[str], own_key: str) -> ScriptSignatures:
    """Return who signed a script; ``own_key`` names the signature that goes first. Raises NotFound."""
    script = named(tx, script_id, teams)
    found = [one for one in store.of_script(tx, script.id, teams) if not one.retired]
    if not found:
        raise NotFound(f"Nobody whose key is good has signed the script '{script_id}'.")
    found.sort(key=lambda one: (one.key_id != own_key, not one.is_control_plane))
    signatures = [ScriptSignature(key_id=one.key_id, signature=one.signature) for one in found]
    first = signatures[0]
    return ScriptSignatures(algorithm=ALGORITHM, key_id=first.key_id, signature=first.signature, signatures=signatures)


def accept(tx: Tx, person: Person, script_id: str, offered: ScriptSignature, now: datetime) -> bool:
    """Keep a signature made elsewhere; False where it is known. Raises NotFound, Forbidden, ValidationFailed."""
    script = named(tx, script_id, person.teams)
    keys = signing(tx, person, offered, script_message(script.id, script.sha256))
    added = [store.add(tx, script.id, key.id, offered.signature, micros(now), person.id) for key in keys]
    if any(added):
        audit.note(tx, "script.sign", script.id, now, script.team_id or "", key=offered.key_id, sha256=script.sha256)
    return any(added)


def signing(tx: Tx, person: Person, offered: ScriptSignature, message: bytes) -> list[Key]:
    """Return the keys of an offered signature once it proves to be theirs.

    Raises NotFound, Forbidden, Conflict for a retired one, ValidationFailed where the signature is another's.
    """
    keys = _usable(tx, person, offered.key_id)
    _check(keys[0], message, offered.signature)
    return keys


def add_key(tx: Tx, person: Person, upload: SigningKeyUpload, now: datetime) -> tuple[Key, bool]:
    """Enter a team's public key, and tell whether it is new. Raises Forbidden, ValidationFailed, Conflict."""
    team_id = upload.team_id or person.team_for("admin")
    person.require(team_id, "admin")
    name = key_id(decode(upload.public_key, KEY_SIZE, "public_key"))
    if store.get_key(tx, store.row_id(None, name)) is not None:
        raise Conflict("This is the control plane's own key.")
    known = store.get_key(tx, store.row_id(team_id, name))
    if known is not None:
        return known, False
    if store.count_keys(tx, team_id) >= MOST_KEYS // 2:  # the other half is the control plane's
        raise Conflict(f"A team has at most {MOST_KEYS // 2} signing keys, retired ones included.")
    key = Key(
        id=store.row_id(team_id, name),
        key_id=name,
        team_id=team_id,
        public_key=upload.public_key,
        name=upload.name.replace("\0", ""),
        is_control_plane=False,
        added_at=micros(now),
        added_by=person.id,
    )
    store.add_key(tx, key)
    audit.note(tx, "key.add", name, now, team_id, name=key.name)
    return key, True


def endorse(tx: Tx, person: Person, key_name: str, offered: Endorsement, now: datetime) -> Key:
    """Keep one key's word for another. Raises NotFound, Forbidden, ValidationFailed, Conflict."""
    keys, judges = _usable(tx, person, key_name), _usable(tx, person, offered.key_id)
    message = key_message(decode(keys[0].public_key, KEY_SIZE, "public_key"), _origin(keys[0]))
    _check(judges[0], message, offered.signature)
    for key in keys:
        for by in judges:
            store.add_endorsement(tx, key, by, offered.signature, micros(now))
    audit.note(tx, "key.endorse", keys[0].key_id, now, keys[0].team_id or "", by=offered.key_id)
    return keys[0]


def retire(tx: Tx, person: Person, key_name: str, own_key: str, now: datetime) -> Key:
    """End the trust in a key, for ever. Raises NotFound, Forbidden, Conflict for the one the control plane uses."""
    for key in _known(tx, person, key_name):
        if key.key_id == own_key and key.is_control_plane:
            raise Conflict("The control plane signs with this key; give it another one first.")
        if key.team_id is not None:
            person.require(key.team_id, "admin")
        elif not person.is_admin:
            raise Forbidden("Only an admin of the installation may retire a key of the control plane.")
        person.allow("admin")
        if key.retired_at is None:
            store.retire_key(tx, key.id, micros(now))
            audit.note(tx, "key.retire", key.key_id, now, key.team_id or "", name=key.name)
    return _known(tx, person, key_name)[0]


def offered(tx: Tx, team_id: str) -> list[SigningKey]:
    """Return what an agent of a team is told beside its tokens."""
    words = store.endorsements(tx, [team_id])
    return [
        SigningKey(
            key_id=key.key_id,
            public_key=key.public_key,
            origin=_origin(key),
            retired=key.retired_at is not None,
            endorsements=[Endorsement(key_id=by, signature=text) for by, text in words.get(key.id, [])],
        )
        for key in store.keys(tx, [team_id])
    ]


def listed(tx: Tx, person: Person) -> list[SigningKeyEntry]:
    """Return all keys that a person may see."""
    words = store.endorsements(tx, person.teams)
    return [rendered(key, [by for by, _ in words.get(key.id, [])]) for key in store.keys(tx, person.teams)]


def rendered(key: Key, endorsed_by: list[str]) -> SigningKeyEntry:
    """Return a key as people see it."""
    return SigningKeyEntry(
        key_id=key.key_id,
        public_key=key.public_key,
        name=key.name,
        origin=_origin(key),
        added_at=stamp_micros(key.added_at) or "",
        added_by=key.added_by,
        retired_at=stamp_micros(key.retired_at),
        endorsed_by=endorsed_by,
    )


def _origin(key: Key) -> Origin:
    return "control-plane" if key.is_control_plane else "offline"


def _known(tx: Tx, person: Person, key_name: str) -> list[Key]:
    keys = store.named(tx, key_name, person.teams)
    if not keys:
        raise NotFound(f"There is no signing key '{key_name}'.")
    return keys


def _usable(tx: Tx, person: Person, key_name: str) -> list[Key]:
    """Return the keys of a name for whose team the person may act."""
    person.team_for("operator", "patch")
    teams = person.teams_as("operator")
    keys = [key for key in _known(tx, person, key_name) if key.team_id is None or key.team_id in teams]
    if not keys:
        raise Forbidden("This needs the role 'operator' in the team of the signing key.")
    good = [key for key in keys if key.retired_at is None]
    if not good:
        raise Conflict(f"The signing key '{key_name}' is retired.")
    return good


def _check(key: Key, message: bytes, signature: str) -> None:
    raw = decode(signature, SIGNATURE_SIZE, "signature")
    if not is_genuine(decode(key.public_key, KEY_SIZE, "public_key"), message, raw):
        raise ValidationFailed(f"signature: the key '{key.key_id}' has not signed this.", field="signature")
