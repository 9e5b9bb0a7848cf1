"""A migrated, empty store, once on SQLite and once on PostgreSQL."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from nanny_ops.control.store import schema
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database, sqlite_url
from nanny_ops.protocol.clock import micros

#: The instant at which these tests begin.
NOW = datetime(2026, 1, 31, 2, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    """Return the instant at which the test begins."""
    return NOW


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a migrated, empty SQLite store, to be copied: to migrate anew for each test takes longer."""
    directory = tmp_path_factory.mktemp("store")
    database = Database(sqlite_url(directory))
    _prepare(database)
    database.close()
    [file] = directory.glob("*.db")
    return file


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a running store with the default team."""
    if request.param == "sqlite":
        file: Path = request.getfixturevalue("empty_store")
        shutil.copyfile(file, tmp_path / file.name)
        opened = Database(sqlite_url(tmp_path))
    else:
        opened = Database(emptied(request.getfixturevalue("postgres_url")))
        _prepare(opened)
    opened.start()
    yield opened
    opened.close()


def _prepare(database: Database) -> None:
    schema.upgrade(database)
    database.write_now(lambda tx: teams.ensure_default(tx, micros(NOW)))


def emptied(url: str) -> str:
    """Drop everything in a PostgreSQL database and return its address."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url
