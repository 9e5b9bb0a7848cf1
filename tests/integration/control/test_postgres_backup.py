"""The way back from an upgrade on PostgreSQL: what only the newer release knows is in nobody's way."""

import os
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import create_engine, inspect, text

from nanny_ops.cli.backup import make, restore
from nanny_ops.control.app import open_database, prepare
from nanny_ops.control.settings import load
from tests.unit.control.conftest import emptied

NEWER = """
CREATE TABLE newer (id int PRIMARY KEY, team_id varchar(64) REFERENCES teams (id));
CREATE FUNCTION newer_said() RETURNS int LANGUAGE sql AS 'SELECT 1';
INSERT INTO teams (id, name, created_at) VALUES ('team-late', 'late', 0);
"""


def test_a_backup_comes_back_over_a_newer_release(postgres_url: str, tmp_path: Path) -> None:
    address = emptied(postgres_url)
    environ = {**os.environ, "NANNY_DATA_DIR": str(tmp_path / "data"), "NANNY_BACKUP_DIR": str(tmp_path / "kept")}
    settings = load({**environ, "NANNY_PORT": "0", "NANNY_DATABASE_URL": address}, {})
    database = open_database(settings)
    prepare(database)
    database.close()
    made, _ = make(settings, datetime.now(UTC))
    engine = create_engine(address)
    with engine.begin() as connection:
        connection.execute(text(NEWER))
    restore(settings, made, force=True)
    with engine.connect() as connection:
        assert "newer" not in inspect(connection).get_table_names()
        assert "newer_said" not in connection.execute(text("SELECT proname FROM pg_proc")).scalars()
        assert connection.execute(text("SELECT count(*) FROM teams WHERE id = 'team-late'")).scalar_one() == 0
    engine.dispose()
    again = open_database(settings)
    prepare(again)
    again.close()
