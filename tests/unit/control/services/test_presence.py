"""Whether a thing is there: yes, no, or nobody knows, and never a guess."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from nanny_ops.control.services.presence import LAG, Looks
from nanny_ops.control.store.snapshot import Snapshot

NOW = 10**15
MADE = NOW - 5 * 3600 * 1_000_000
ROW = Snapshot(
    id="s", team_id="t", scope="c", target="lxc:100", vmid=100, kind="snapshot", name="nanny-1", agent_id="a",
    state="kept", state_at=MADE, created_at=MADE, made_at=MADE,
)  # fmt: skip


def guest(**more: Any) -> Any:
    told = {"kind": "lxc", "vmid": 100, "node": "pve1", "reported_by": "a", "gone_at": None, "unknown_since": None}
    return SimpleNamespace(**{**told, "body": {}, **more})


def line(state: str = "ok", at: int | None = NOW, reason: str = "") -> Any:
    return SimpleNamespace(state=state, at=at, reason=reason)


def judged(row: Snapshot, of: Any, told: Any, thing: str = "") -> bool | None:
    lines = {("c", "a", thing): told} if told else {}
    return Looks({"snapshot": lines, "backup": lines}, NOW).judge(row, of).there


LISTED, EMPTY = {"snapshots": [{"name": "nanny-1"}]}, {"snapshots": list[Any]()}


@pytest.mark.rows("F17")
@pytest.mark.parametrize(
    ("body", "told", "there"),
    [
        (LISTED, line(), True),
        (EMPTY, line(), False),
        ({}, line(), None),
        (LISTED, None, None),
        (LISTED, line("forbidden", None, "The token lacks VM.Audit."), None),
        (LISTED, line("stale"), None),
        (LISTED, line(at=NOW - 4 * 3600 * 1_000_000), None),
    ],
)
def test_only_a_fresh_list_says_no(body: Any, told: Any, there: bool | None) -> None:
    assert judged(ROW, guest(body=body), told) is there


def test_until_somebody_looks_its_maker_is_believed_for_some_hours() -> None:
    young = Snapshot(**{**vars(ROW), "made_at": NOW - 9_000_000})
    found = Looks({"snapshot": {("c", "a", ""): line(at=NOW - 60_000_000)}}, NOW).judge(young, guest(body=EMPTY))
    assert (found.there, found.age_seconds) == (True, 9)
    assert judged(young, guest(body=EMPTY), None) is True
    assert judged(young, guest(body=EMPTY), line(at=NOW + LAG)) is False
    assert judged(ROW, guest(body=EMPTY), None) is None


def test_a_guest_that_is_gone_or_in_the_dark_decides() -> None:
    assert judged(ROW, None, line()) is None
    assert judged(ROW, guest(body=LISTED, gone_at=5), line()) is False
    assert judged(ROW, guest(body=LISTED, unknown_since=5), line()) is None
    assert judged(ROW, guest(body=LISTED), line(), "lxc/100") is True
    removed = Snapshot(**{**vars(ROW), "state": "removed"})
    assert judged(removed, guest(body=LISTED), line()) is False
    asked_for = Snapshot(**{**vars(ROW), "state": "made"})
    assert judged(asked_for, guest(body=EMPTY), line(at=MADE)) is None


@pytest.mark.parametrize(
    ("backup", "there"),
    [
        ({"found": True, "last_volume": "nanny-1", "last_at": 9}, True),
        ({"found": True, "last_volume": "other", "last_at": NOW}, None),
        ({"found": True, "last_volume": "other", "last_at": 5}, False),
        ({"found": False}, False),
        (None, None),
    ],
)
def test_of_backups_only_the_newest_is_told(backup: Any, there: bool | None) -> None:
    row = Snapshot(**{**vars(ROW), "kind": "backup"})
    assert judged(row, guest(body={"backup": backup}), line(), "pve1") is there
    assert judged(row, guest(body={"backup": backup}, gone_at=5), line(), "pve1") is there  # it outlives its guest


def test_the_age_is_that_of_the_look() -> None:
    told = Looks({"snapshot": {("c", "a", ""): line(at=NOW - 7_000_000)}}, NOW).judge(ROW, guest(body=LISTED))
    assert (told.age_seconds, told.checked_at) == (7, NOW - 7_000_000)
    assert Looks.of.__doc__ is not None
    assert datetime.fromtimestamp(NOW / 10**6, UTC).year == 2001
