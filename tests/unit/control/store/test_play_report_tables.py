"""A report of a play belongs to a team, as runs do."""

from nanny_ops.control.store.play_report_tables import play_reports


def test_every_row_has_its_team() -> None:
    assert not play_reports.c.team_id.nullable
