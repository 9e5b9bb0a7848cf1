"""The store's promises: answers come after the commit, one bad job costs nobody else anything."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text
from sqlalchemy.exc import IntegrityError

from nanny_ops.control.store import schema
from nanny_ops.control.store.database import Database, Tx, _Work, sqlite_url
from nanny_ops.control.store.tables import events, revoked_tokens
from nanny_ops.errors import BadRequest, Conflict, Unavailable

ADD = insert(revoked_tokens)


def jtis(tx: Tx) -> set[str]:
    return set(tx.connection.execute(select(revoked_tokens.c.jti)).scalars())


def adding(jti: str) -> Any:
    return lambda tx: tx.connection.execute(ADD.values(jti=jti, expires_at=1))


async def test_a_write_is_seen_by_the_next_read(database: Database) -> None:
    await database.write(adding("one"))
    assert await database.read(jtis) == {"one"}


async def test_many_writes_at_once_all_arrive(database: Database) -> None:
    await asyncio.gather(*(database.write(adding(f"w{i}")) for i in range(50)))
    await asyncio.gather(*(database.append(ADD, {"jti": f"a{i}", "expires_at": 1}) for i in range(50)))
    assert len(await database.read(jtis)) == 100


async def test_a_named_error_undoes_only_its_own_work(database: Database) -> None:
    def failing(tx: Tx) -> None:
        adding("undone")(tx)
        raise Conflict("no")

    results = await asyncio.gather(
        database.write(adding("before")),
        database.write(failing),
        database.write(adding("after")),
        return_exceptions=True,
    )
    assert isinstance(results[1], Conflict)
    assert await database.read(jtis) == {"before", "after"}


async def test_a_broken_constraint_fails_only_its_caller(database: Database) -> None:
    await database.write(adding("same"))
    results = await asyncio.gather(
        *(database.write(adding(f"fine{i}")) for i in range(5)),
        database.write(adding("same")),
        database.append(ADD, {"jti": "same", "expires_at": 1}),
        database.append(ADD, {"jti": "appended", "expires_at": 1}),
        return_exceptions=True,
    )
    assert [isinstance(result, IntegrityError) for result in results] == [False] * 5 + [True, True, False]
    assert await database.read(jtis) == {"same", "appended", *(f"fine{i}" for i in range(5))}


async def test_listeners_are_woken_only_after_a_logged_commit(database: Database) -> None:
    seen: list[set[str]] = []
    database.on_commit = lambda: seen.append(database.read_now(jtis))

    def logging(tx: Tx) -> None:
        adding("logged")(tx)
        tx.logged = True

    await database.write(adding("silent"))
    await database.write(logging)
    assert seen == [{"silent", "logged"}]


async def test_a_caller_that_gives_up_does_not_stop_the_writer(database: Database) -> None:
    waiting = asyncio.ensure_future(database.write(adding("given up")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await database.write(adding("next"))
    assert "next" in await database.read(jtis)


async def test_why_the_database_refuses_is_logged_and_not_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = Database(sqlite_url(tmp_path))
    empty.start()
    for attempt in (empty.read(jtis), empty.write(adding("one"))):
        with pytest.raises(Unavailable) as caught:
            await attempt
        assert "revoked_tokens" not in caught.value.message
    empty.close()
    assert capsys.readouterr().out.count("no such table: revoked_tokens") == 2


def unwritable() -> int:
    """Return a number that JSON cannot be written with: a driver never sees it, so its error is none of a driver's."""
    return 10**5000


async def test_a_value_that_cannot_even_be_written_down_does_not_end_the_writer(database: Database) -> None:
    row = {"team_id": "default", "topic": "t", "subject": "s", "kind": "k", "payload": {"n": unwritable()}, "at": 1}
    async with asyncio.timeout(10):
        with pytest.raises((BadRequest, ValueError)):  # PostgreSQL's driver writes JSON itself and says it so
            await database.append(insert(events), row)
        with pytest.raises((BadRequest, ValueError)):
            await database.write(lambda tx: tx.connection.execute(insert(events), row))
        await database.write(adding("afterwards"))
    assert await database.read(jtis) == {"afterwards"}


async def test_listeners_that_cannot_be_woken_do_not_end_the_writer(database: Database) -> None:
    def broken() -> None:
        raise RuntimeError("Event loop is closed")

    def logging(tx: Tx) -> None:
        adding("logged")(tx)
        tx.logged = True

    database.on_commit = broken
    async with asyncio.timeout(10):
        await database.write(logging)
        await database.write(adding("afterwards"))
    assert await database.read(jtis) == {"logged", "afterwards"}


async def test_a_refusal_that_another_ones_undone_work_had_caused_is_not_kept(database: Database) -> None:
    """Both come in one commit; what the first wrote is undone with it, and so is the reason for the refusal."""

    def breaking(tx: Tx) -> None:
        if tx.connection.execute(select(revoked_tokens.c.jti).where(revoked_tokens.c.jti == "mark")).first() is None:
            adding("mark")(tx)
        adding("mark")(tx)

    def refusing(tx: Tx) -> str:
        if "early" in jtis(tx):
            raise Conflict("early is there")
        return "done"

    def early_but_broken() -> Any:
        loop = asyncio.get_running_loop()
        return loop, loop.create_future()

    works = [_Work(None, *early_but_broken()) for _ in range(3)]
    works[0].run = adding("early")
    works[0].rows = ((ADD, {"jti": "early", "expires_at": 1}),)
    works[1].run = refusing
    works[2].run = breaking
    await asyncio.to_thread(database._commit, works)
    results = await asyncio.gather(*(work.future for work in works), return_exceptions=True)
    assert results[1] == "done"


async def test_what_is_asked_after_the_end_is_answered(tmp_path: Path) -> None:
    closed = Database(sqlite_url(tmp_path))
    closed.start()
    closed.close()
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable):
            await closed.write(adding("late"))


async def test_orders_survive_a_power_cut_and_readings_may_not(tmp_path: Path) -> None:
    """SQLite forces a commit to the disk at FULL (2); at NORMAL (1) the last commits may be lost with the power."""
    opened = Database(sqlite_url(tmp_path))
    schema.upgrade(opened)
    opened.start()

    def level(tx: Tx) -> int:
        return int(tx.connection.execute(text("PRAGMA synchronous")).scalar_one())

    assert await opened.write(level) == 2
    levels: list[int] = []
    event.listen(opened._hasty, "commit", lambda connection: levels.append(level(Tx(connection))))
    await opened.append(ADD, {"jti": "kept", "expires_at": 1})
    assert levels == [1]
    assert await opened.write(level) == 2
    assert await opened.read(jtis) == {"kept"}
    opened.close()
