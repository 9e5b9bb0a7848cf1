"""What a person is told of an order: the summary, and why nothing happens yet."""

from dataclasses import replace
from datetime import timedelta

from nanny_ops.cli.patch_view import summary, why_idle
from nanny_ops.protocol.clock import now, stamp
from nanny_ops.protocol.patch import PatchOperation
from tests.unit.cli.test_watch import ORDER

ENDED = replace(
    ORDER, status="failed", outcome="script_failed", reason="It ended with 4.", exit_code=4, duration=1240,
    target="lxc:101", mode="dry-run", created_at="2026-01-31T02:00:00.123Z", finished_at="2026-01-31T02:00:02Z",
)  # fmt: skip


def told(operation: PatchOperation) -> dict[str, object]:
    return {key: value for key, value in summary(operation).items() if value not in (None, "", [])}


def test_an_ended_order_is_told_in_a_few_lines() -> None:
    assert told(ENDED) == {
        "order": "patch-1",
        "what": "dry run, changes nothing",
        "where": "container 101, by a",
        "status": "failed",
        "outcome": "script_failed",
        "reason": "It ended with 4.",
        "exit code": 4,
        "took": "1.2 s",
        "ordered": "2026-01-31 02:00:00 UTC",
        "ended": "2026-01-31 02:00:02 UTC",
    }


def test_an_open_order_tells_when_it_lapses_and_what_it_is_narrowed_to() -> None:
    waiting = replace(ORDER, created_at=stamp(now()), only=["bash", "tar"], security_only=True)
    lines = told(waiting)
    assert (lines["what"], lines["where"]) == ("apply", "the host itself, by a")
    assert (lines["only"], lines["limited to"]) == (["bash", "tar"], "security updates")
    assert "lapses" in lines
    assert "ended" not in lines


def test_a_silent_agent_is_told_with_the_order_it_runs() -> None:
    silent = replace(ORDER, status="running", silent_since="2026-01-31T02:00:02Z")
    assert told(silent)["silent"] == (
        "nothing was heard of its agent since 2026-01-31 02:00:02 UTC; the script may run on"
    )


def test_an_ended_order_that_keeps_its_target_tells_how_to_give_it_free() -> None:
    kept = str(told(replace(ENDED, status="cancelled", holds_until=stamp(now() + timedelta(hours=2))))["target"])
    assert "nanny-ops patch release patch-1" in kept
    for other in (replace(ENDED, holds_until="2026-01-31T02:00:02Z"), ORDER):
        assert "target" not in told(other)


def test_why_an_order_waits_names_the_agent_and_the_way_out() -> None:
    agent = {"hostname": "pve1", "status": "active", "health_status": "offline"}
    away = why_idle(ORDER, {**agent, "last_seen": stamp(now() - timedelta(minutes=20, seconds=1))})
    assert "pve1 has not fetched this order yet (offline, last seen 20 min ago)" in away
    assert "nanny-ops patch cancel patch-1" in away
    assert "never seen" in why_idle(ORDER, {**agent, "last_seen": None})
