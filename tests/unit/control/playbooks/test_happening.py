"""What is told of a run: short, bounded, without secrets."""

from typing import Any

import pytest

from nanny_ops.control.playbooks import happening
from nanny_ops.control.playbooks.happening import HIDDEN, Account
from nanny_ops.protocol.playbook_run import PlaybookEvent


def host(name: str = "runner_on_ok", **data: Any) -> dict[str, Any]:
    """Make one of ansible-runner's events about a host."""
    about = {"play": "P", "task": "T", "task_action": "debug", "host": "pve1", "duration": 0.25, **data}
    return {"event": name, "created": "2026-01-31T02:00:00+00:00", "event_data": about}


def told(*events: dict[str, Any], secrets: tuple[str, ...] = ()) -> list[PlaybookEvent]:
    """Return what is told of events."""
    found: list[PlaybookEvent] = []
    account = Account(found.append, secrets)
    for event in events:
        account.take(event)
    return found


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (host(res={"changed": False}), "ok"),
        (host(res={"changed": True}), "changed"),
        (host("runner_on_failed", res={"msg": "no"}), "failed"),
        (host("runner_on_failed", res={"msg": "no"}, ignore_errors=True), "ignored"),
        (host("runner_on_unreachable", res={"msg": "no"}), "unreachable"),
        (host("runner_on_skipped", res={}), "skipped"),
    ],
)
def test_each_host_is_told_with_its_state(event: dict[str, Any], state: str) -> None:
    [one] = told(event)
    assert (one.kind, one.host, one.state, one.task, one.seconds) == ("host", "pve1", state, "T", 0.25)


def test_what_a_play_hides_stays_hidden() -> None:
    [one] = told(host(res={"censored": "the output has been hidden"}))
    assert one.message == HIDDEN


def test_secrets_are_not_told() -> None:
    [one] = told(host(res={"msg": "password=hunter2 and s3cr3tline"}), secrets=("s3cr3tline",))
    assert "hunter2" not in one.message
    assert "s3cr3tline" not in one.message


def test_ten_thousand_items_are_no_ten_thousand_events() -> None:
    items = [host("runner_item_on_ok", res={"item": number}) for number in range(10_000)]
    assert told(*items) == []


def test_events_are_bounded_and_failures_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happening, "MOST", 10)
    monkeypatch.setattr(happening, "MOST_BAD", 3)
    found: list[PlaybookEvent] = []
    account = Account(found.append)
    for _ in range(20):
        account.take(host(res={}))
    for _ in range(5):
        account.take(host("runner_on_failed", res={"msg": "no"}))
    account.take({"event": "playbook_on_stats", "event_data": {"ok": {"pve1": 20}, "failures": {"pve1": 5}}})
    assert [one.state for one in found].count("ok") == 10
    assert [one.state for one in found].count("failed") == 3
    assert found[-1].kind == "stats"
    assert account.left_out == 12
    assert account.hosts == {
        "pve1": {"ok": 20, "changed": 0, "failures": 5, "unreachable": 0, "skipped": 0, "rescued": 0, "ignored": 0}
    }
