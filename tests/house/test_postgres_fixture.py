"""The throwaway server that the store's tests stand on is a real one, and can be emptied."""

import pytest
from sqlalchemy import create_engine, text

from tests.unit.control.conftest import emptied


@pytest.mark.postgres
def test_the_throwaway_server_answers(postgres_url: str) -> None:
    engine = create_engine(emptied(postgres_url))
    with engine.connect() as connection:
        version = connection.execute(text("show server_version_num")).scalar_one()
        tables = connection.execute(text("select count(*) from pg_tables where schemaname = 'public'")).scalar_one()
    engine.dispose()
    assert int(version) >= 130_000
    assert tables == 0
