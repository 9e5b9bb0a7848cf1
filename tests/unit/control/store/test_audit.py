"""The audit's log: sealed row by row, refused to be changed, and every kind of tampering found, on both databases."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from nanny_ops.control.store import audit as store
from nanny_ops.control.store import schema
from nanny_ops.control.store.audit import BROKEN, NOTHING, Filter, Verdict
from nanny_ops.control.store.caller import CALLER, Caller
from nanny_ops.control.store.database import Database, Tx, sqlite_url
from nanny_ops.errors import Conflict

Tamper = Callable[..., None]
ANN = Caller("person", "user-1", "ann@example.com", "token-1", "192.0.2.1", "r-1")


@pytest.fixture
def log(database: Database) -> Database:
    """A log of five entries, with a key of its own."""
    database.seal = b"k" * 32
    for number in range(1, 6):
        add(database, f"op-{number}", number)
    return database


@pytest.fixture
def tamper(log: Database) -> Tamper:
    """A function that runs SQL as the database's owner, who can take the guards away first."""

    def run(*statements: str, **values: Any) -> None:
        with log.engine.begin() as connection:
            if log.sqlite:
                connection.execute(text("DROP TRIGGER IF EXISTS audit_no_update"))
                connection.execute(text("DROP TRIGGER IF EXISTS audit_no_delete"))
            else:
                connection.execute(text("DROP TRIGGER IF EXISTS audit_no_change ON audit"))
            for statement in statements:
                connection.execute(text(statement), values)

    return run


def add(database: Database, thing: str, at: int = 1, action: str = "patch.create", **detail: Any) -> None:
    database.write_now(lambda tx: store.append(tx, at, action, thing, "team-1", detail))


def verify(database: Database, after: int = 0) -> Verdict:
    return database.read_now(lambda tx: store.verify(tx, after))


def rows(database: Database) -> list[store.Row]:
    return database.read_now(lambda tx: store.after(tx, Filter(teams=None), 0))


def test_entries_are_sealed_to_each_other(log: Database) -> None:
    found = rows(log)
    assert [row.seq for row in found] == [1, 2, 3, 4, 5]
    assert [row.prev for row in found] == [NOTHING, *(row.hash for row in found[:-1])]
    assert len({row.hash for row in found}) == 5
    assert verify(log) == Verdict(5, found[-1].hash)
    assert verify(log, after=3) == Verdict(2, found[-1].hash)


def test_an_empty_log_without_a_head_is_not_a_good_one(database: Database) -> None:
    assert "no signed head" in verify(database).wrong


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'x' WHERE seq = 2", "DELETE FROM audit WHERE seq = 2"])
def test_the_database_refuses_to_change_it(log: Database, statement: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"), log.engine.begin() as connection:
        connection.execute(text(statement))
    assert verify(log).wrong == ""


@pytest.mark.postgres
def test_postgres_refuses_to_empty_it(log: Database) -> None:
    if log.sqlite:
        return  # SQLite knows no TRUNCATE
    with pytest.raises(DBAPIError, match="append-only"), log.engine.begin() as connection:
        connection.execute(text("TRUNCATE audit"))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", 99),
        ("kind", "agent"),
        ("actor", "x"),
        ("name", "x"),
        ("token_id", "x"),
        ("action", "x"),
        ("object", "x"),
        ("team_id", "x"),
        ("peer", "x"),
        ("request_id", "x"),
        ("detail", "[]"),
        ("hash", "0" * 64),
    ],
)
def test_a_changed_entry_is_named(log: Database, tamper: Tamper, column: str, value: object) -> None:
    tamper(f"UPDATE audit SET {column} = :value WHERE seq = 3", value=value)
    found = verify(log)
    assert (found.seq, found.rows, found.wrong) == (3, 2, "was changed")


def test_a_changed_entry_with_a_hash_that_fits_is_found_at_the_next(log: Database, tamper: Tamper) -> None:
    forged = replace(rows(log)[2], actor="somebody-else")
    tamper("UPDATE audit SET actor = :a, hash = :h WHERE seq = 3", a=forged.actor, h=store.digest(forged))
    assert (verify(log).seq, verify(log).wrong) == (4, "does not follow from the row before it")


def test_a_removed_entry_is_named(log: Database, tamper: Tamper) -> None:
    tamper("DELETE FROM audit WHERE seq = 3")
    assert (verify(log).seq, verify(log).wrong) == (3, "is missing")


def test_a_removed_entry_is_found_also_where_the_others_move_up(log: Database, tamper: Tamper) -> None:
    tamper("DELETE FROM audit WHERE seq = 3", "UPDATE audit SET seq = 3 WHERE seq = 4")
    assert verify(log).seq == 3


def test_an_end_that_was_cut_off_is_found(log: Database, tamper: Tamper) -> None:
    tamper("DELETE FROM audit WHERE seq >= 4")
    assert (verify(log).seq, verify(log).rows) == (4, 3)
    assert "missing" in verify(log).wrong


def test_an_end_cut_off_with_a_head_to_match_lacks_the_signature(log: Database, tamper: Tamper) -> None:
    third = rows(log)[2]
    tamper("DELETE FROM audit WHERE seq >= 4", "UPDATE audit_head SET seq = 3, hash = :h", h=third.hash)
    assert "not signed with this key" in verify(log).wrong


def test_what_follows_after_a_forged_head_says_so_for_ever(log: Database, tamper: Tamper) -> None:
    third = rows(log)[2]
    tamper("DELETE FROM audit WHERE seq >= 4", "UPDATE audit_head SET seq = 3, hash = :h", h=third.hash)
    add(log, "op-6", 6)
    assert [row.action for row in rows(log)][3:] == [BROKEN, "patch.create"]
    found = verify(log)
    assert (found.seq, found.rows) == (4, 3)
    assert verify(log, after=4).wrong == ""


def test_a_log_written_anew_without_the_secret_is_found(log: Database, tamper: Tamper) -> None:
    tamper("DELETE FROM audit", "DELETE FROM audit_head")
    log.seal = b"guessed"
    add(log, "op-1")
    assert verify(log).wrong == ""
    log.seal = b"k" * 32
    assert "not signed with this key" in verify(log).wrong


def test_an_older_copy_is_found_by_a_hash_kept_elsewhere(log: Database, tamper: Tamper) -> None:
    """The one thing the signature cannot show: head and rows of an earlier moment, both genuine."""
    head = log.read_now(lambda tx: tx.connection.execute(text("SELECT seq, hash, signature FROM audit_head")).one())
    add(log, "op-6", 6)
    kept = verify(log).last
    tamper(
        "DELETE FROM audit WHERE seq > 5",
        "UPDATE audit_head SET seq = :seq, hash = :hash, signature = :signature",
        **head._mapping,
    )
    assert verify(log).wrong == ""
    assert not log.read_now(lambda tx: store.has_hash(tx, kept))
    assert log.read_now(lambda tx: store.has_hash(tx, head.hash))


async def test_it_is_there_if_and_only_if_the_change_is(log: Database) -> None:
    def change_and_fail(tx: Tx) -> None:
        store.append(tx, 9, "patch.create", "op-9", "", {})
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await log.write(change_and_fail)
    assert [row.object for row in rows(log)][-1] == "op-5"
    assert verify(log).wrong == ""


async def test_two_control_planes_write_one_chain(database: Database) -> None:
    other = Database(database.url, seal=b"k" * 32)
    database.seal = other.seal
    other.start()

    async def write(one: Database, number: int) -> None:
        await one.write(lambda tx: store.append(tx, number, "revoke", f"agent-{number}", "", {}))

    await asyncio.gather(*(write(one, number) for number in range(10) for one in (database, other)))
    other.close()
    assert verify(database).rows == 20
    assert verify(database).wrong == ""


async def test_it_is_noted_who_asked(log: Database) -> None:
    token = CALLER.set(ANN)
    await log.write(lambda tx: store.append(tx, 9, "revoke", "agent-1", "", {"hostname": "pve1"}))
    CALLER.reset(token)
    await log.write(lambda tx: store.append(tx, 9, "patch.end", "op-1", "", {}))
    ann, system = rows(log)[-2:]
    assert (ann.kind, ann.actor, ann.name, ann.token_id) == ("person", "user-1", "ann@example.com", "token-1")
    assert (ann.peer, ann.request_id, ann.detail) == ("192.0.2.1", "r-1", '{"hostname": "pve1"}')
    assert (system.kind, system.actor) == ("system", "")


def test_odd_and_long_texts_are_kept_as_far_as_they_fit(log: Database) -> None:
    add(log, "\0" + "x" * 500, name="\0\ud800")
    assert len(rows(log)[-1].object) == 128
    assert verify(log).wrong == ""


def test_filters_narrow_down(log: Database) -> None:
    add(log, "op-1", 7, action="patch.end")

    def found(**wanted: Any) -> list[int]:
        given = Filter(**{"teams": None, **wanted})
        return [row.seq for row in log.read_now(lambda tx: store.page(tx, given, 50, 0))[0]]

    assert found(action="patch.end") == [6]
    assert found(object="op-1") == [6, 1]
    assert found(since=3, until=5) == [4, 3]
    assert found(teams=["team-2"]) == []
    assert found(teams=["team-1"], actor="nobody") == []


def test_a_database_of_an_earlier_release_has_none(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path))
    assert not database.read_now(store.is_there)
    schema.upgrade(database)
    assert database.read_now(store.is_there)
    database.close()


def test_entries_of_one_commit_follow_each_other_past_one_that_is_undone(tmp_path: Path) -> None:
    """What waits before the writer starts shares a commit; the second work fails after its entry was written."""
    database = Database(sqlite_url(tmp_path), seal=b"k" * 32)
    schema.upgrade(database)

    def undone(tx: Tx) -> None:
        store.append(tx, 2, "patch.create", "op-2", "team-1", {})
        raise Conflict

    async def go() -> list[Any]:
        def kept(number: int) -> Callable[[Tx], None]:
            return lambda tx: store.append(tx, number, "patch.create", f"op-{number}", "team-1", {})

        waiting = [asyncio.ensure_future(database.write(run)) for run in (kept(1), undone, kept(3), kept(4))]
        await asyncio.sleep(0)
        database.start()
        return await asyncio.gather(*waiting, return_exceptions=True)

    answers = asyncio.run(go())
    assert [type(answer) for answer in answers] == [type(None), Conflict, type(None), type(None)]
    assert [row.object for row in rows(database)] == ["op-1", "op-3", "op-4"]
    assert verify(database).wrong == ""
    database.close()
