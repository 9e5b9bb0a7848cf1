"""Bookmarks: what is written is read again, for the same thing alone, and nonsense is nothing."""

from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.control.services import bookmark
from nanny_ops.control.services.bookmark import Mark

NUMBERS = st.integers(0, 2**40)
MARKS = st.one_of(
    st.just(Mark()),
    st.just(Mark(done=True)),
    st.builds(
        Mark,
        statuses=st.integers(0, 127),
        said=NUMBERS,
        steps=NUMBERS,
        begun=st.booleans(),
        stdout=NUMBERS,
        stderr=NUMBERS,
    ),
)


@given(st.lists(MARKS, max_size=300), st.integers(0, 5))
def test_what_is_written_is_read_again(marks: list[Mark], more: int) -> None:
    text = bookmark.write("batch-1", marks)
    found = bookmark.read(text, "batch-1", len(marks) + more)
    assert found == (marks and marks + [Mark()] * more)
    assert bookmark.read(text, "batch-2", len(marks) + more) is None
    assert not marks or bookmark.read(text, "batch-1", len(marks) - 1) is None


@given(st.text(max_size=60))
def test_nonsense_is_nothing(text: str) -> None:
    assert bookmark.read(text, "batch-1", 3) in (None, [])


def test_it_stays_short_where_a_thousand_are_followed() -> None:
    half = [Mark(7, 2**32 - n * 77_777, n % 9, True, n * 1931, n % 7) for n in range(128)]
    marks = [Mark(done=True)] * 400 + half + [Mark(1, 2**31)] * 472
    assert len(bookmark.write("batch-1", marks)) < 2500
    assert len(bookmark.write("batch-1", marks)) < bookmark.LONGEST


def test_what_unpacks_to_too_much_is_cut() -> None:
    text = bookmark.write("batch-1", [Mark(done=True)] * 300_000)
    assert bookmark.read(text, "batch-1", 1000) is None
