"""Copies of the embedded database, and how PostgreSQL's programs are told of theirs."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from nanny_ops.control.store.copy import check_sqlite, copy_sqlite, postgres_environ
from nanny_ops.errors import SettingsError


def test_a_copy_has_what_was_committed_and_nothing_else_while_somebody_writes(tmp_path: Path) -> None:
    source, target = tmp_path / "a.db", tmp_path / "b.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE alembic_version (version_num)")
        writer.execute("INSERT INTO alembic_version VALUES ('0001')")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO alembic_version VALUES ('0002')")
        copy_sqlite(source, target)
        writer.execute("COMMIT")
    assert check_sqlite(target) == "0001"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("b")) == ["b.db"]


def test_what_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(SettingsError, match="cannot be read"):
        check_sqlite(tmp_path / "a.db")
    with pytest.raises(SettingsError, match="cannot be copied"):
        copy_sqlite(tmp_path / "none.db", tmp_path / "b.db")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (
            "postgresql://nanny:p%40ss@db.example.com:6432/ops?sslmode=verify-full",
            {
                "PGUSER": "nanny",
                "PGPASSWORD": "p@ss",
                "PGHOST": "db.example.com",
                "PGPORT": "6432",
                "PGDATABASE": "ops",
                "PGSSLMODE": "verify-full",
            },
        ),
        (
            "postgresql://nanny-ops@/nanny-ops?host=/run/postgresql",
            {"PGUSER": "nanny-ops", "PGDATABASE": "nanny-ops", "PGHOST": "/run/postgresql"},
        ),
    ],
)
def test_an_address_becomes_an_environment(url: str, told: dict[str, str]) -> None:
    assert postgres_environ(url) == told


def test_what_is_no_address_is_not_shown() -> None:
    with pytest.raises(SettingsError) as told:
        postgres_environ("secret")
    assert "secret" not in str(told.value)
