"""A run of a playbook belongs to a team, as orders do."""

from nanny_ops.control.store.playbook_tables import playbook_runs


def test_every_row_has_its_team() -> None:
    assert not playbook_runs.c.team_id.nullable
