"""The migrations make exactly the tables that tables.py declares."""

from nanny_ops.control.store import schema
from nanny_ops.control.store.database import Database


def test_migrated_tables_equal_the_declared_ones(database: Database) -> None:
    with database.engine.connect() as connection:
        assert schema.drift(connection) == []


def test_upgrading_again_changes_nothing(database: Database) -> None:
    assert schema.current(database) == schema.upgrade(database) == schema.current(database)
