"""The store's promises: answers come after the commit, one bad job costs nobody else anything."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from nanny_ops.control.store.database import Database, Tx, sqlite_url
from nanny_ops.control.store.tables import revoked_tokens
from nanny_ops.errors import Conflict, Unavailable

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
