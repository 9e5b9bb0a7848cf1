"""What a person is told of snapshots, and which ages may be typed."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from nanny_ops.cli.snapshot import _tell, hours, summary, to_end
from nanny_ops.errors import SettingsError, Unavailable
from nanny_ops.protocol.prune import Prune, Pruning, Removal, Spared
from nanny_ops.protocol.snapshot import SnapshotRow

ROW = SnapshotRow(
    id="snapshot-1", kind="snapshot", name="nanny-1", storage="", state="kept", there=None, why="Last looked long ago.",
    checked_at=None, age_seconds=None, guest_id="g", guest="web1", vmid=100, target="lxc:100", node="pve1",
    cluster=None, cluster_name=None, agent_id="a", operation_id="patch-1", in_use=True, upid="U",
    made_at="2026-01-31T02:00:00Z", state_at="2026-01-31T02:00:00Z", removed_by=None, expires_at=None,
)  # fmt: skip
ORDER = Prune(
    id="prune-1", agent_id="a", target="lxc:100", vmid="100", guest="web1", status="failed", outcome="partial",
    reason="", snapshots=["nanny-1", "nanny-2"], removals=[Removal(name="nanny-1", outcome="failed", reason="busy")],
    created_by="u", created_at="", updated_at="", expires_at="2026-01-31T02:00:00Z", started_at=None, finished_at=None,
)  # fmt: skip


@pytest.mark.parametrize(("text", "found"), [("", None), ("48h", 48), ("7d", 168), ("2w", 336), ("5", 5), ("0", 0)])
def test_ages_are_read_as_hours(text: str, found: int | None) -> None:
    assert hours(text) == found


@pytest.mark.parametrize("text", ["-1", "1.5h", "a day", "7y"])
def test_other_texts_are_no_ages(text: str) -> None:
    with pytest.raises(SettingsError, match="no age"):
        hours(text)


def test_what_nobody_knows_is_said() -> None:
    told = summary(ROW)
    assert (told["is there"], told["snapshot"]) == ("nobody knows", "nanny-1")
    assert told["may be gone back to"]
    sure = summary(replace(ROW, there=False, checked_at="2026-01-31T02:00:00Z"))
    assert sure["is there"].startswith("no, as of ")


def test_each_snapshot_and_what_stays_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    spared = Spared(snapshot_id="s", name="nanny-9", vmid="100", why="in_use", reason="It has not ended.")
    _tell(Pruning(dry=False, keep=1, older_than_hours=None, orders=[ORDER], spared=[spared]))
    said = capsys.readouterr().out
    assert "busy" in said
    assert "partial" in said
    assert "in_use" in said
    _tell(Pruning(dry=True, keep=1, older_than_hours=None, orders=[], spared=[]))
    assert "nothing to remove" in capsys.readouterr().out


def test_an_order_is_waited_for_and_not_for_ever() -> None:
    client = SimpleNamespace(prune_order=lambda _id: ORDER)
    future = replace(ORDER, status="running", expires_at="2999-01-01T00:00:00Z")
    assert to_end(client, future, sleep=lambda _: None) is ORDER  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        to_end(client, replace(ORDER, status="running"), sleep=lambda _: None)  # type: ignore[arg-type]
