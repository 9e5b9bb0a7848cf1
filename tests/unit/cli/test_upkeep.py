"""``nanny-ops upkeep``: what is not known is a question mark and no zero."""

from dataclasses import asdict

from nanny_ops.cli.upkeep import _row, waiting
from nanny_ops.protocol.upkeep import UpkeepRow

ROW = UpkeepRow(
    target="lxc:100", name="web1", node="pve1", vmid=100, guest_id="guest-100", agent_id=None, cluster_name="lab",
    state="unknown", why="Nobody has looked yet.", pending=None, security=None, left=None, restart_required=None,
)  # fmt: skip


def test_what_is_not_known_is_a_question_mark() -> None:
    row = _row(asdict(ROW))
    assert (row["who"], row["pending"], row["security"], row["until"]) == ("100 web1", "?", "?", "unknown")


def test_a_release_without_fixes_is_called_ended() -> None:
    told = {**asdict(ROW), "vmid": None, "pending": 0, "support": "ended", "supported_until": "2026-08-31"}
    row = _row(told)
    assert (row["who"], row["pending"], row["until"]) == ("web1", 0, "2026-08-31 (ended)")


def test_a_cell_never_says_none_for_what_nobody_has_seen() -> None:
    assert waiting(None) == waiting({"state": "unknown", "pending": None, "security": None}) == "?"
    assert waiting({"state": "pending", "pending": 12, "security": 3}) == "12 (3 security)"
    assert waiting({"state": "pending", "pending": 2, "security": None}) == "2"
    assert waiting({"state": "up_to_date", "pending": 0, "security": 0}) == "none"
