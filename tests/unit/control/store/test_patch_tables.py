"""What stands around patch orders belongs to a team, as orders do."""

import pytest
from sqlalchemy import Table

from nanny_ops.control.store import patch_tables


@pytest.mark.parametrize("table", [one for one in vars(patch_tables).values() if isinstance(one, Table)], ids=str)
def test_every_row_has_its_team(table: Table) -> None:
    assert not table.c.team_id.nullable
