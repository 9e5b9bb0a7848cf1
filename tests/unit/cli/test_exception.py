"""``nanny-ops exception``: where an exception counts is said by one option, and told in one word."""

import pytest
from typer.testing import CliRunner

from nanny_ops.cli import exception
from nanny_ops.errors import SettingsError
from nanny_ops.protocol.package_exception import PackageException

MADE = PackageException(
    id="exception-1", package="nginx", reason="r", scope="group", tag="web", agent_id="", guest_id="",
    created_by="user-1", created_at="2026-01-31T02:00:00Z", expires_at=None, removed_at=None, active=True,
)  # fmt: skip


@pytest.mark.parametrize("more", [["--tag", "a", "--guest", "100"], ["--days", "1", "--expires-at", "2030-01-01"]])
def test_contradictions_are_refused_before_anything_is_sent(more: list[str]) -> None:
    done = CliRunner().invoke(exception.app, ["add", "nginx", "--reason", "r", *more])
    assert isinstance(done.exception, SettingsError)


def test_a_row_says_where_and_until_when() -> None:
    row = exception._row(MADE)
    assert (row["where"], row["until"]) == ("group web", "removed")
