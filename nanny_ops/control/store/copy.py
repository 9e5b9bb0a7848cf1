"""A consistent copy of the database while it is used, and what is known of a copy."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from nanny_ops.errors import SettingsError

#: Pages copied between two looks at what writers have changed meanwhile; 4 MiB.
PAGES = 1024
#: Seconds that a lock may take.
PATIENCE = 30.0


def copy_sqlite(source: Path, target: Path) -> None:
    """Write the state of one instant into a new file (sqlite.org/backup.html). Raises SettingsError."""
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=rw", uri=True, timeout=PATIENCE)) as here,
            closing(sqlite3.connect(target)) as there,
        ):
            here.backup(there, pages=PAGES)
            there.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as wrong:
        raise SettingsError(f"{source} cannot be copied: {wrong}.") from wrong


def check_sqlite(file: Path) -> str:
    """Return the revision of a database that is whole. Raises SettingsError."""
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as opened:
            (said,) = opened.execute("PRAGMA quick_check(1)").fetchone()
            found = opened.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as wrong:
        raise SettingsError(f"The database in the backup cannot be read: {wrong}.") from wrong
    if said != "ok":
        raise SettingsError(f"The database in the backup is damaged: {said}")
    return str(found[0]) if found else ""


def postgres_environ(url: str) -> dict[str, str]:
    """Return how PostgreSQL's own programs are told of a database: by the environment, as an argv is seen by everybody.

    Raises SettingsError.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as wrong:
        raise SettingsError("database_url is no address of a database.") from wrong
    told = {
        "PGUSER": parsed.username,
        "PGPASSWORD": parsed.password,
        "PGHOST": parsed.host or parsed.query.get("host"),
        "PGPORT": str(parsed.port) if parsed.port else parsed.query.get("port"),
        "PGDATABASE": parsed.database,
        "PGSSLMODE": parsed.query.get("sslmode"),
        "PGSSLROOTCERT": parsed.query.get("sslrootcert"),
    }
    return {name: str(value) for name, value in told.items() if value}
