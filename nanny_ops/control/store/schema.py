"""Bring a database to the newest revision."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from nanny_ops.control.store.database import Database
from nanny_ops.control.store.patch_tables import patch_batches
from nanny_ops.control.store.play_report_tables import play_reports
from nanny_ops.control.store.playbook_tables import playbook_runs
from nanny_ops.control.store.proxmox_tables import clusters

#: Of all tables: whoever imports the modules of tables has all of them.
METADATA, _, _, _ = clusters.metadata, patch_batches, playbook_runs, play_reports
#: PostgreSQL advisory lock that lets one process migrate while others wait.
MIGRATION_LOCK = 6_102_024


def upgrade(database: Database) -> str:
    """Apply what is missing, in one transaction, and return the newest revision's name."""
    config = _config()
    with database.engine.begin() as connection:
        if not database.sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return ScriptDirectory.from_config(config).get_current_head() or ""


def current(database: Database) -> str:
    """Return the revision the database is at, or an empty text for an empty database."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() or ""


def knows(revision: str) -> bool:
    """Tell whether this release can bring a database of that revision to its own."""
    return any(one.revision == revision for one in ScriptDirectory.from_config(_config()).walk_revisions())


def drift(connection: Connection) -> list[str]:
    """Return the differences between the migrated database and tables.py; empty when they agree."""
    return [str(difference) for difference in compare_metadata(MigrationContext.configure(connection), METADATA)]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
