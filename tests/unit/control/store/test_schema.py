"""The migrations make exactly the tables that tables.py declares."""

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Boolean, Float, Integer, LargeBinary, MetaData, Table, text
from sqlalchemy.types import JSON

from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import enrollment as enrollments
from nanny_ops.control.store import schema
from nanny_ops.control.store.database import Database, sqlite_url
from tests.unit.control.conftest import emptied

#: Rows as the first release has them.
AGENT = (
    "INSERT INTO agents (id, team_id, hostname, platform, platform_family, version, primary_ip, kernel_version,"
    " os_type, all_ips, status, created_at)"
    " VALUES ('agent-1', 't', 'pve1', '', '', '', '', '', '', '[]', 'active', 0)"
)
EARLIER = (
    "INSERT INTO teams (id, name, created_at) VALUES ('t', 't', 0)",
    AGENT,
    "INSERT INTO refresh_families VALUES ('f', 'agent-1', 't', 1, 's', 0, NULL, NULL)",
)


def test_migrated_tables_equal_the_declared_ones(database: Database) -> None:
    with database.engine.connect() as connection:
        assert schema.drift(connection) == []


def test_upgrading_again_changes_nothing(database: Database) -> None:
    assert schema.current(database) == schema.upgrade(database) == schema.current(database)


@pytest.mark.parametrize("first", ["0001"])
def test_a_filled_database_of_an_earlier_release_is_upgraded(tmp_path: Path, first: str) -> None:
    """On SQLite, where a table that is built anew would take rows that refer to it along."""
    database = Database(sqlite_url(tmp_path))
    with database.engine.begin() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.upgrade(config, first)
        for statement in EARLIER:
            connection.execute(text(statement))
    schema.upgrade(database)
    with database.engine.connect() as connection:
        assert schema.drift(connection) == []
    kept = database.read_now(lambda tx: agents.find(tx, "agent-1"))
    family = database.read_now(lambda tx: enrollments.family(tx, "f"))
    database.close()
    assert kept is not None
    assert (kept.tags, family is not None) == ([], True)


def row_of(table: Table) -> dict[str, Any]:
    """Return a row with a value in every column; keys of other tables point at the row there, whose id is ``x``."""
    values: dict[str, Any] = {}
    for column in table.columns:
        kind = column.type
        if isinstance(kind, Boolean):
            values[column.name] = True
        elif isinstance(kind, Integer | Float):
            values[column.name] = 7
        elif isinstance(kind, JSON):
            values[column.name] = {"kept": [1, "two"]}
        else:
            values[column.name] = b"x" if isinstance(kind, LargeBinary) else "x"
    return values


def rows_of(database: Database, tables: MetaData) -> dict[str, dict[str, Any]]:
    """Return what stands in each table now, in the columns that it had."""
    with database.engine.connect() as connection:
        found = {table.name: connection.execute(table.select()).mappings().all() for table in tables.sorted_tables}
    assert {name: len(rows) for name, rows in found.items() if len(rows) != 1} == {}
    return {name: dict(rows[0]) for name, rows in found.items()}


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_each_table_of_the_first_revision_keeps_its_row(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    url = sqlite_url(tmp_path) if kind == "sqlite" else emptied(request.getfixturevalue("postgres_url"))
    database, first = Database(url), MetaData()
    config = schema._config()
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        first.reflect(connection)
        first.remove(first.tables["alembic_version"])
        for table in first.sorted_tables:
            connection.execute(table.insert().values(row_of(table)))
    before = rows_of(database, first)
    assert len(before) > 10
    schema.upgrade(database)
    after = rows_of(database, first)
    with database.engine.connect() as connection:
        assert schema.drift(connection) == []
    database.close()
    assert after == before
