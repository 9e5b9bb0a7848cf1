"""A tally keeps what is recent of what is in use, and no more."""

from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.control.services.tally import Tally

AT = 1_800_000_000.0


def test_only_the_window_counts() -> None:
    tally = Tally(60, 10)
    for late in (0, 30, 59):
        tally.add("a", AT + late, AT + late)
    assert list(tally.of("a", AT + 59)) == [AT, AT + 30, AT + 59]
    assert list(tally.of("a", AT + 60)) == [AT + 30, AT + 59]
    assert list(tally.of("b", AT + 60)) == []


def test_instants_that_come_late_take_their_place() -> None:
    tally = Tally(60, 10)
    for instant in (30.0, 10.0, 20.0):
        tally.add("a", AT + instant, AT + 30)
    assert list(tally.of("a", AT + 30)) == [AT + 10, AT + 20, AT + 30]


def test_a_clock_set_back_locks_nobody_out() -> None:
    tally = Tally(60, 10)
    tally.add("a", AT + 3600, AT + 3600)
    assert list(tally.of("a", AT)) == []


def test_idle_keys_are_forgotten() -> None:
    tally = Tally(60, 1000)
    for number in range(100):
        tally.add(number, AT, AT)
    for number in range(60):
        tally.add(f"later-{number}", AT + 61, AT + 61)
    assert len(tally) == 60


@given(st.lists(st.integers(0, 50), max_size=200))
def test_there_are_never_more_keys_than_room(keys: list[int]) -> None:
    tally = Tally(60, 5)
    for late, key in enumerate(keys):
        tally.add(key, AT + late / 100, AT + late / 100)
        assert len(tally) <= 5
        assert tally.of(key, AT + late / 100)
