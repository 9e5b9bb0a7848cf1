"""Releases: what counts as one, that an id names one archive, and whose signatures are told."""

import hashlib
import io
from datetime import datetime
from pathlib import Path

import pytest

from nanny_ops.control.services import release as service
from nanny_ops.control.services import signature
from nanny_ops.control.services.principal import Person
from nanny_ops.control.services.signing import Signer, load_signer
from nanny_ops.control.store import release as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.errors import Forbidden, NotFound, ValidationFailed
from nanny_ops.protocol.signature import ScriptSignature, release_message
from tests.fakes.release import archive, tar

PERSON = Person("user-1", "op@example.com", "op", False, {teams.DEFAULT: "operator"})
VIEWER = Person("user-2", "viewer@example.com", "viewer", False, {teams.DEFAULT: "viewer"})


@pytest.fixture
def signer(database: Database, tmp_path: Path, now: datetime) -> Signer:
    made = load_signer(tmp_path)
    database.write_now(lambda tx: signature.adopt(tx, made, now))
    return made


def add(database: Database, signer: Signer, now: datetime, person: Person = PERSON) -> tuple[store.Release, bool]:
    content = archive("1.2.3")
    sha256 = hashlib.sha256(content).hexdigest()
    pieces = [content[:1000], content[1000:]]
    return database.write_now(lambda tx: service.add(tx, person, signer, "1.2.3", sha256, len(content), pieces, now))


def test_a_release_is_added_once_signed_and_kept_in_pieces(database: Database, signer: Signer, now: datetime) -> None:
    release, new = add(database, signer, now)
    assert (new, release.version) == (True, "1.2.3")
    assert release.id.startswith("nanny-agent-1.2.3-")
    assert add(database, signer, now) == (release, False)
    pieces = [database.read_now(lambda tx, n=n: store.piece(tx, release.id, n, [teams.DEFAULT])) for n in range(3)]
    assert b"".join(pieces) == archive("1.2.3")
    assert pieces[2] == b""
    told = database.read_now(lambda tx: service.signed_by(tx, release.id, [teams.DEFAULT], signer.key_id))
    assert told.signature == signer.sign(release_message(release.id, release.sha256))
    assert database.read_now(lambda tx: store.newest(tx, teams.DEFAULT)) == release


def test_nobody_else_sees_or_adds_it(database: Database, signer: Signer, now: datetime) -> None:
    release, _ = add(database, signer, now)
    with pytest.raises(NotFound):
        database.read_now(lambda tx: service.named(tx, release.id, ["team-other"]))
    assert database.read_now(lambda tx: store.piece(tx, release.id, 0, ["team-other"])) == b""
    with pytest.raises(Forbidden):
        add(database, signer, now, VIEWER)


def test_a_signature_for_a_script_is_none_for_a_release(database: Database, signer: Signer, now: datetime) -> None:
    release, _ = add(database, signer, now)
    offered = ScriptSignature(key_id=signer.key_id, signature=signer.sign(b"another message"))
    with pytest.raises(ValidationFailed):
        database.write_now(lambda tx: service.accept(tx, PERSON, release.id, offered, now))
    good = ScriptSignature(key_id=signer.key_id, signature=signer.sign(release_message(release.id, release.sha256)))
    assert not database.write_now(lambda tx: service.accept(tx, PERSON, release.id, good, now))


def test_the_version_is_in_the_manifest() -> None:
    assert service.version_of(io.BytesIO(archive("1.2.3+local"))) == "1.2.3+local"


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", tar({"other": b""}), tar({"manifest.json": b"{"}), tar({"manifest.json": b'{"name": "x"}'})],
)
def test_what_is_no_release_is_told(content: bytes) -> None:
    with pytest.raises(ValidationFailed):
        service.version_of(io.BytesIO(content))
