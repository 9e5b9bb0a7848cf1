"""Until when distributions get fixes."""

from datetime import date

import pytest

from nanny_ops.control.services.end_of_life import EndOfLife, judge
from nanny_ops.protocol.patch_report import System

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("identity", "version", "expected"),
    [
        ("debian", "11", EndOfLife("ended", "2026-08-31")),
        ("debian", "13", EndOfLife("supported", "2030-06-30")),
        ("alpine", "3.22.1", EndOfLife("supported", "2027-05-01")),
        ("rocky", "9.4", EndOfLife("supported", "2032-05-31")),
        ("arch", "", EndOfLife("rolling")),
        ("debian", "99", EndOfLife("unknown")),
        ("slackware", "15", EndOfLife("unknown")),
        ("", "", EndOfLife("unknown")),
    ],
)
def test_a_release_is_judged_by_the_table_and_never_guessed(identity: str, version: str, expected: EndOfLife) -> None:
    assert judge(System(id=identity, version=version), TODAY) == expected


def test_a_system_that_tells_its_own_end_is_believed_and_told_before_it_comes() -> None:
    assert judge(System(id="fedora", version="43", support_end="2026-12-02"), TODAY) == EndOfLife(
        "ending", "2026-12-02"
    )
    assert judge(System(id="debian", version="13", support_end="soon"), TODAY).day == "2030-06-30"
    assert judge(System(id="debian", version="13", support_end="2026-99-99"), TODAY).state == "unknown"


def test_nothing_told_is_unknown() -> None:
    assert judge(None, TODAY).state == "unknown"
