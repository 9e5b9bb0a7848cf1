"""How long an agent speaks for its cluster; who is replaced when, test_inventory.py shows."""

import pytest

from nanny_ops.control.services import speaker
from nanny_ops.control.store.inventory import Reporter, Scope


@pytest.mark.parametrize(("pause", "patience"), [(0, 660), (300, 660), (600, 1320), (90_000, 3600)])
def test_an_agent_counts_as_silent_by_its_own_pace(pause: int, patience: int) -> None:
    last = Reporter("agent-1", "team", "scope", "pve1", 0, 0, 0)
    assert speaker.until(last, pause * speaker.SECOND) == (pause + patience) * speaker.SECOND


def test_the_first_report_has_no_pace() -> None:
    assert speaker.until(None, 0) == 660 * speaker.SECOND


def test_who_is_elected_has_the_lease() -> None:
    assert speaker.elect(Scope("s", "team", 0), "agent-1", 7) == Scope("s", "team", 0, "agent-1", 7)
