"""Who may sign, what is kept, what agents are told, on both databases."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nanny_ops.control.services import script as scripts
from nanny_ops.control.services import signature as service
from nanny_ops.control.services.principal import Person
from nanny_ops.control.services.signing import Signer, load_signer
from nanny_ops.control.store import script as script_store
from nanny_ops.control.store import signature as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.script import Script
from nanny_ops.control.store.tables import script_signatures
from nanny_ops.control.store.tables import scripts as script_table
from nanny_ops.control.store.tables import teams as team_table
from nanny_ops.errors import Conflict, Forbidden, NotFound, ValidationFailed
from nanny_ops.protocol.patch import ScriptUpload
from nanny_ops.protocol.signature import (
    Endorsement,
    ScriptSignature,
    SigningKeyUpload,
    decode,
    key_message,
    script_message,
)

HOME = (teams.DEFAULT,)
VIEWER, OPERATOR, ADMIN = (
    Person(f"user-{role}", f"{role}@example.com", role, False, {teams.DEFAULT: role})
    for role in ("viewer", "operator", "admin")
)
STRANGER = Person("user-s", "s@example.com", "s", False, {"team-other": "admin"})
ADMIN_OF_NONE = Person("user-n", "n@example.com", "n", False, {teams.DEFAULT: "operator", "team-other": "viewer"})
ROOT = Person("user-root", "root@example.com", "root", True, {teams.DEFAULT: "admin"})


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    (tmp_path / "keys").mkdir()
    return load_signer(tmp_path / "keys")


@pytest.fixture
def offline() -> Signer:
    return Signer(Ed25519PrivateKey.generate())


@pytest.fixture
def script(database: Database, signer: Signer, now: datetime) -> Script:
    """An uploaded script, in a store that has adopted the control plane's key."""
    database.write_now(
        lambda tx: tx.connection.execute(team_table.insert().values(id="team-other", name="o", created_at=0))
    )
    database.write_now(lambda tx: scripts.ship(tx, now))
    database.write_now(lambda tx: service.adopt(tx, signer, now))
    return add_script(database, signer, now, "own")


def add_script(database: Database, signer: Signer, now: datetime, name: str) -> Script:
    upload = ScriptUpload(name=name, content="#!/bin/sh\necho '[]'\n")
    added = database.write_now(lambda tx: scripts.add(tx, OPERATOR, upload, now))[0]
    database.write_now(lambda tx: service.sign(tx, signer, added, now))
    return added


def enter(database: Database, key: Signer, now: datetime, person: Person = ADMIN) -> Any:
    upload = SigningKeyUpload(public_key=key.public_key, name="the safe")
    return database.write_now(lambda tx: service.add_key(tx, person, upload, now))


def offer(
    database: Database, script: Script, key: Signer, now: datetime, person: Person = OPERATOR, **values: str
) -> Any:
    text = key.sign(script_message(values.get("script_id", script.id), values.get("sha256", script.sha256)))
    given = ScriptSignature(key_id=values.get("key_id", key.key_id), signature=values.get("signature", text))
    return database.write_now(lambda tx: service.accept(tx, person, script.id, given, now))


def signed_by(database: Database, script_id: str, own: Signer, team: str = teams.DEFAULT) -> list[str]:
    found = database.read_now(lambda tx: service.of_script(tx, script_id, [team], own.key_id))
    assert (found.key_id, found.signature) == (found.signatures[0].key_id, found.signatures[0].signature)
    return [one.key_id for one in found.signatures]


def test_what_ships_and_what_is_added_is_signed(
    database: Database, signer: Signer, script: Script, now: datetime
) -> None:
    assert signed_by(database, script.id, signer) == [signer.key_id]
    for shipped in database.read_now(script_store.shipped):
        assert signed_by(database, shipped.id, signer) == [signer.key_id]
    assert database.read_now(lambda tx: store.unsigned(tx, store.row_id(None, signer.key_id))) == []


def test_a_restart_signs_nothing_that_was_slipped_into_the_database(
    database: Database, signer: Signer, script: Script, now: datetime
) -> None:
    values = {**vars(script), "id": "slipped-in", "team_id": None, "shipped": True}
    database.write_now(lambda tx: tx.connection.execute(script_table.insert().values(**values)))
    database.write_now(lambda tx: tx.connection.execute(script_signatures.delete()))
    database.write_now(lambda tx: service.adopt(tx, signer, now))
    missing = database.read_now(lambda tx: store.unsigned(tx, store.row_id(None, signer.key_id)))
    assert sorted(name for name, _ in missing) == sorted(["slipped-in", script.id])
    with pytest.raises(NotFound, match="signed"):
        signed_by(database, "slipped-in", signer)


def test_a_first_key_signs_what_was_there_before(
    database: Database, signer: Signer, script: Script, offline: Signer, now: datetime
) -> None:
    database.write_now(lambda tx: service.adopt(tx, offline, now))
    assert signed_by(database, script.id, signer) == [signer.key_id, offline.key_id]
    assert signed_by(database, script.id, offline) == [offline.key_id, signer.key_id]


def test_an_offline_signature_stands_beside_the_own_one(
    database: Database, signer: Signer, script: Script, offline: Signer, now: datetime
) -> None:
    assert enter(database, offline, now)[1] is True
    assert enter(database, offline, now)[1] is False
    assert offer(database, script, offline, now) is True
    assert offer(database, script, offline, now) is False
    assert signed_by(database, script.id, signer) == [signer.key_id, offline.key_id]


def test_a_signature_must_be_good(database: Database, script: Script, offline: Signer, now: datetime) -> None:
    with pytest.raises(NotFound):
        offer(database, script, offline, now)
    enter(database, offline, now)
    for wrong in ({"script_id": "other"}, {"sha256": "0" * 64}, {"signature": "A" * 86 + "=="}):
        with pytest.raises(ValidationFailed):
            offer(database, script, offline, now, **wrong)
    with pytest.raises(Forbidden):
        offer(database, script, offline, now, VIEWER)
    with pytest.raises(NotFound):
        offer(database, script, offline, now, STRANGER)


def test_a_team_never_sees_anothers_keys_or_signatures(
    database: Database, signer: Signer, script: Script, offline: Signer, now: datetime
) -> None:
    enter(database, offline, now)
    apt = database.read_now(script_store.shipped)[0]
    offer(database, apt, offline, now)
    assert signed_by(database, apt.id, signer) == [signer.key_id, offline.key_id]
    assert signed_by(database, apt.id, signer, "team-other") == [signer.key_id]
    told = database.read_now(lambda tx: service.offered(tx, "team-other"))
    assert [key.key_id for key in told] == [signer.key_id]
    assert [key.key_id for key in database.read_now(lambda tx: service.listed(tx, STRANGER))] == [signer.key_id]
    assert enter(database, offline, now, STRANGER)[1] is True, "the same key is another team's own business"


def test_agents_are_told_where_a_key_lies_and_who_vouches_for_it(
    database: Database, signer: Signer, script: Script, offline: Signer, now: datetime
) -> None:
    enter(database, offline, now)
    text = signer.sign(key_message(decode(offline.public_key, 32, "key"), "offline"))
    word = Endorsement(key_id=signer.key_id, signature=text)
    for _ in range(2):
        database.write_now(lambda tx: service.endorse(tx, OPERATOR, offline.key_id, word, now))
    own, added = database.read_now(lambda tx: service.offered(tx, teams.DEFAULT))
    assert (own.origin, own.endorsements, own.retired) == ("control-plane", [], False)
    assert (added.origin, added.endorsements, added.public_key) == ("offline", [word], offline.public_key)
    forged = Endorsement(key_id=signer.key_id, signature=signer.sign(b"something else"))
    with pytest.raises(ValidationFailed):
        database.write_now(lambda tx: service.endorse(tx, OPERATOR, offline.key_id, forged, now))


def test_a_key_of_two_teams_acts_in_both_and_only_where_its_holder_may(
    database: Database, signer: Signer, script: Script, offline: Signer, now: datetime
) -> None:
    enter(database, offline, now)
    enter(database, offline, now, STRANGER)
    both = Person("user-b", "b@example.com", "b", False, {teams.DEFAULT: "viewer", "team-other": "operator"})
    apt = database.read_now(script_store.shipped)[0]
    assert offer(database, apt, offline, now, both) is True
    assert signed_by(database, apt.id, signer, "team-other") == [signer.key_id, offline.key_id]
    assert signed_by(database, apt.id, signer) == [signer.key_id], "a viewer signs nothing"
    root = Person("user-r", "r@example.com", "r", True, {teams.DEFAULT: "admin", "team-other": "admin"})
    assert offer(database, apt, offline, now, root) is True
    assert signed_by(database, apt.id, signer) == [signer.key_id, offline.key_id]
    word = Endorsement(
        key_id=signer.key_id, signature=signer.sign(key_message(decode(offline.public_key, 32, "key"), "offline"))
    )
    database.write_now(lambda tx: service.endorse(tx, root, offline.key_id, word, now))
    for team in (teams.DEFAULT, "team-other"):
        assert database.read_now(lambda tx, team=team: service.offered(tx, team))[1].endorsements == [word]
    with pytest.raises(Forbidden):
        database.write_now(lambda tx: service.retire(tx, ADMIN_OF_NONE, offline.key_id, signer.key_id, now))
    database.write_now(lambda tx: service.retire(tx, root, offline.key_id, signer.key_id, now))
    for team in (teams.DEFAULT, "team-other"):
        assert signed_by(database, apt.id, signer, team) == [signer.key_id]


def test_automation_signs_only_with_a_token_that_may(
    database: Database, script: Script, offline: Signer, now: datetime
) -> None:
    enter(database, offline, now)
    for scopes, allowed in (({"read"}, False), ({"patch"}, True)):
        program = replace(OPERATOR, scopes=scopes)
        if allowed:
            assert offer(database, script, offline, now, program) is True
        else:
            with pytest.raises(Forbidden):
                offer(database, script, offline, now, program)
    with pytest.raises(Forbidden):
        enter(database, offline, now, replace(ADMIN, scopes={"patch"}))
    retire = replace(ADMIN, scopes={"patch"})
    with pytest.raises(Forbidden):
        database.write_now(lambda tx: service.retire(tx, retire, offline.key_id, "", now))


def test_a_retired_key_is_good_for_nothing(
    database: Database, signer: Signer, script: Script, offline: Signer, now: datetime
) -> None:
    enter(database, offline, now)
    offer(database, script, offline, now)
    with pytest.raises(Forbidden):
        database.write_now(lambda tx: service.retire(tx, OPERATOR, offline.key_id, signer.key_id, now))
    for _ in range(2):
        key = database.write_now(lambda tx: service.retire(tx, ADMIN, offline.key_id, signer.key_id, now))
        assert key.retired_at is not None
    assert signed_by(database, script.id, signer) == [signer.key_id]
    assert [one.retired for one in database.read_now(lambda tx: service.offered(tx, teams.DEFAULT))] == [False, True]
    with pytest.raises(Conflict):
        offer(database, script, offline, now)


def test_the_key_in_use_is_not_retired_and_an_old_one_only_by_the_installations_admin(
    database: Database, signer: Signer, script: Script, offline: Signer, now: datetime
) -> None:
    with pytest.raises(Conflict):
        database.write_now(lambda tx: service.retire(tx, ROOT, signer.key_id, signer.key_id, now))
    with pytest.raises(Forbidden):
        database.write_now(lambda tx: service.retire(tx, ADMIN, signer.key_id, offline.key_id, now))
    assert database.write_now(lambda tx: service.retire(tx, ROOT, signer.key_id, offline.key_id, now)).retired_at


def test_only_admins_enter_keys_and_not_without_end(
    database: Database, signer: Signer, script: Script, now: datetime
) -> None:
    with pytest.raises(Forbidden):
        enter(database, Signer(Ed25519PrivateKey.generate()), now, OPERATOR)
    with pytest.raises(Conflict, match="own key"):
        enter(database, signer, now)
    for _ in range(32):
        enter(database, Signer(Ed25519PrivateKey.generate()), now)
    with pytest.raises(Conflict, match="at most"):
        enter(database, Signer(Ed25519PrivateKey.generate()), now)
