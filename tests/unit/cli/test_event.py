"""What an event tells beside its object."""

import pytest

from nanny_ops.cli.event import more


@pytest.mark.parametrize(
    ("detail", "text"),
    [
        ({}, ""),
        ({"from": "pve1", "to": "pve2"}, "from pve1 to pve2"),
        ({"lock": "backup"}, "lock backup"),
        ({"used": 1 << 30, "total": None}, "used 1 GiB, total "),
        (
            {"memory_mb": {"from": 512, "to": 1024}, "x": {"from": "8G", "to": "9G"}},
            "memory_mb 512 to 1024, x 8G to 9G",
        ),
    ],
)
def test_a_detail_in_words(detail: dict[str, object], text: str) -> None:
    assert more(detail) == text
