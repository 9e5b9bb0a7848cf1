"""A journal is read back as it was written, torn lines and all."""

from datetime import UTC, datetime
from pathlib import Path

from nanny_ops.machine.procedure.journal import NAME, Journal
from nanny_ops.protocol.patch_report import Step

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_what_was_begun_and_ended_is_known_to_who_comes_after(tmp_path: Path) -> None:
    first = Journal(tmp_path, lambda: AT)
    assert not first.begun_anything
    first.begin("protect")
    first.note(snapshot="nanny-1", found="stopped")
    first.end(Step(name="protect", reason="made", started_at="x", duration_ms=3))
    first.begin("script")
    second = Journal(tmp_path)
    assert second.facts == {"snapshot": "nanny-1", "found": "stopped"}
    assert second.ended("protect") == Step(name="protect", reason="made", started_at="x", duration_ms=3)
    assert (second.begun("script"), second.ended("script")) == (True, None)
    assert [(step.name, step.outcome) for step in second.steps] == [("protect", "ok"), ("script", "unknown")]
    assert [(step.name, step.outcome) for step in second.so_far] == [("protect", "ok"), ("script", "running")]
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_a_line_that_a_crash_has_torn_costs_only_itself(tmp_path: Path) -> None:
    Journal(tmp_path).begin("a")
    with (tmp_path / NAME).open("a") as file:
        file.write('{"event": "end", "na')
    torn = Journal(tmp_path)
    assert torn.ended("a") is None
    torn.begin("b")
    assert [step.name for step in Journal(tmp_path).steps] == ["a", "b"]


def test_each_line_is_on_the_disk_before_it_goes_on(tmp_path: Path) -> None:
    synced: list[int] = []
    journal = Journal(tmp_path, sync=synced.append)
    journal.begin("a")
    journal.note(b=1)
    assert len(synced) == 3  # two lines, and the folder when the file was new
