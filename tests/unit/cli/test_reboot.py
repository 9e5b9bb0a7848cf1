"""What a person is told of a reboot."""

from dataclasses import replace

from nanny_ops.cli.reboot import summary
from nanny_ops.protocol.reboot import Reboot

ORDERED = Reboot(
    id="reboot-1", agent_id="a", target="lxc:101", lxc_id="lxc-101", vmid="101", status="pending", outcome=None,
    reason="new libc", explanation="", timeout_seconds=300, created_by="u", created_at="2026-01-31T02:00:00.123Z",
    updated_at="2026-01-31T02:00:00.123Z", expires_at="2026-01-31T03:00:00Z", acknowledged_at=None, finished_at=None,
)  # fmt: skip


def test_an_open_one_tells_when_it_lapses_and_an_ended_one_what_is_known() -> None:
    waiting = summary(ORDERED)
    assert (waiting["where"], waiting["lapses"]) == ("container 101, by a", "2026-01-31 03:00:00 UTC")
    times = {"acknowledged_at": "2026-01-31T02:01:00Z", "finished_at": "2026-01-31T02:06:00Z"}
    ended = summary(
        replace(ORDERED, target="host", status="expired", outcome="unknown", explanation="nobody knows", **times)
    )
    assert (ended["where"], ended["known"], ended["lapses"]) == ("the host itself, by a", "nobody knows", None)
    assert (ended["acknowledged"], ended["ended"]) == ("2026-01-31 02:01:00 UTC", "2026-01-31 02:06:00 UTC")
