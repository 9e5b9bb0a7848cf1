"""Reports as they travel: everything has a default, every list and text a bound."""

from dataclasses import asdict

import msgspec
import pytest
from pydantic import TypeAdapter, ValidationError

from nanny_ops.protocol.patch_report import Left, LockHolder, PatchReport, Protection, Step, restored

EDGE = TypeAdapter(PatchReport)


def test_an_empty_report_says_that_nothing_is_known() -> None:
    report = EDGE.validate_python({})
    assert (report.reboot_required, report.lock, report.rolled_back, report.left_in) == (None, None, None, "")


def test_what_the_agent_writes_the_control_plane_reads() -> None:
    report = PatchReport(
        left=[Left(name="a", why="held")],
        lock=LockHolder(pid=4, name="apt-get"),
        protection=Protection(kind="snapshot", name="nanny-1"),
        steps=[Step(name="script", outcome="failed", duration_ms=5)],
    )
    assert EDGE.validate_json(msgspec.json.encode(report)) == report
    assert restored({**asdict(report), "from_a_later_release": 1}) == report


@pytest.mark.parametrize("wrong", [{"left": [{"name": "x" * 256}]}, {"found": "asleep"}, {"lock": {"pid": -1}}])
def test_what_is_out_of_bounds_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EDGE.validate_python(wrong)
