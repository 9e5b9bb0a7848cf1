"""The migrations make exactly the tables that tables.py declares."""

from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import enrollment as enrollments
from nanny_ops.control.store import schema
from nanny_ops.control.store.database import Database, sqlite_url

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
