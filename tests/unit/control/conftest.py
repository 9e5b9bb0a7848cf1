"""A migrated, empty store, once on SQLite and once on PostgreSQL."""

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


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a running store with the default team."""
    url = sqlite_url(tmp_path) if request.param == "sqlite" else emptied(request.getfixturevalue("postgres_url"))
    opened = Database(url)
    schema.upgrade(opened)
    opened.write_now(lambda tx: teams.ensure_default(tx, micros(NOW)))
    opened.start()
    yield opened
    opened.close()


def emptied(url: str) -> str:
    """Drop everything in a PostgreSQL database and return its address."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url
