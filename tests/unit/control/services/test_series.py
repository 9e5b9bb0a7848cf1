"""Columns of numbers in few bytes."""

import math

from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.control.services import series

NUMBERS = st.one_of(st.none(), st.integers(0, 2**53), st.floats(0, 1, allow_nan=False))
ROWS = st.dictionaries(st.text(max_size=8), st.fixed_dictionaries({"cpu": NUMBERS, "mem": NUMBERS}), max_size=20)


@given(ROWS)
def test_what_is_packed_comes_back(rows: dict[str, dict[str, float | None]]) -> None:
    found = series.unpack(series.pack(series.of_rows(rows.items(), ("cpu", "mem"))))
    assert list(found.keys) == list(rows)
    for place, row in enumerate(rows.values()):
        assert {name: value for name, value in row.items() if name in found.columns} == found.at(place)


def test_columns_of_which_nothing_is_known_are_left_out() -> None:
    found = series.unpack(series.pack(series.of_rows([("a", {"cpu": 0.5})], ("cpu", "mem"))))
    assert list(found.columns) == ["cpu"]
    assert series.unpack(series.pack(series.of_rows([("a", {})], ("cpu",)))).columns == {}


def test_seven_digits_are_kept_in_short_form() -> None:
    body = series.pack(series.of_rows([("a", {"cpu": 0.123456789})], ("cpu",)), "f")
    assert math.isclose(series.unpack(body).columns["cpu"][0], 0.123456789, rel_tol=1e-6)


def test_two_parts_become_one_and_the_later_word_counts() -> None:
    first = series.of_rows([("a", {"cpu": 1.0}), ("b", {"cpu": 2.0})], ("cpu",))
    second = series.of_rows([("b", {"cpu": 3.0, "mem": 4.0})], ("cpu", "mem"))
    both = series.merged(first, second)
    assert {key: both.at(place) for place, key in enumerate(both.keys)} == {
        "a": {"cpu": 1.0, "mem": None},
        "b": {"cpu": 3.0, "mem": 4.0},
    }


def test_a_reading_of_a_thousand_guests_is_small() -> None:
    rows = ((f"lxc/{n}", {"cpu": n / 1000, "mem": n * 1_000_003, "netin": n * 77, "uptime": n}) for n in range(1000))
    assert len(series.pack(series.of_rows(rows, ("cpu", "mem", "netin", "uptime")))) < 30_000
