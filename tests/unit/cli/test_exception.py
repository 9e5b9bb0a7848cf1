"""``nanny-ops exception``: where an exception counts is said by one option, and told in one word."""

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from nanny_ops.cli import exception
from nanny_ops.errors import SettingsError
from nanny_ops.protocol.package_exception import PackageException, Unreached

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


def test_who_changes_one_hears_what_it_reaches_and_what_not(capsys: pytest.CaptureFixture[str]) -> None:
    late = Unreached(operation_id="patch-1", agent_id="agent-1", target="lxc:100", mode="apply")
    exception.tell_reach(replace(MADE, reaches=2, unreached=[late]), "leaves")
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "It counts at once: each of 2 orders that wait leaves nginx.\n"
        "Too late for patch-1, an apply on lxc:100 that runs already.\n"
    )
    exception.tell_reach(replace(MADE, reaches=0), "leaves")
    assert capsys.readouterr().err == ""
