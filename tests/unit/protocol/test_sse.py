"""The stream reader: the same events however the bytes are cut."""

from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.protocol import sse
from nanny_ops.protocol.sse import Event, Reader

STREAM = (
    "\ufeff: hello\nretry: 7000\nevent: connect\ndata: {}\n\n"
    "event: record\nid: 1\ndata: caf\u00e9 \u2028 x\ndata:two\n\n"
    ":\n\nid: 2\r\nevent: record\r\ndata: b\r\n\r\nid: 3\revent: record\rdata: c\r\rdata\n\nid: 4\ndata:\n\n"
).encode()


def read(stream: bytes, cuts: list[int]) -> tuple[list[Event], Reader]:
    reader, found, start = Reader(), [], 0
    for cut in [*sorted({min(c, len(stream)) for c in cuts}), len(stream)]:
        found += list(reader.feed(stream[start:cut]))
        start = cut
    return found, reader


WHOLE = [
    Event(name="connect", data="{}"),
    Event(name="record", data="caf\u00e9 \u2028 x\ntwo", id="1"),
    Event(name="record", data="b", id="2"),
    Event(name="record", data="c", id="3"),
    Event(name="message", data=""),
    Event(name="message", data="", id="4"),
]


def test_a_whole_stream_is_read() -> None:
    found, reader = read(STREAM, [])
    assert found == WHOLE
    assert (reader.last_id, reader.retry_ms) == ("4", 7000)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_cuts_change_nothing(cuts: list[int]) -> None:
    assert read(STREAM, cuts)[0] == WHOLE


def test_one_byte_at_a_time_changes_nothing() -> None:
    assert read(STREAM, list(range(len(STREAM))))[0] == WHOLE


def serve(count: int, last_id: str) -> bytes:
    """What a control plane sends to a reader that comes back with ``last_id``."""
    first = int(last_id or 0) + 1
    return b"".join(b"event: record\nid: %d\ndata: %d\n\n: beat\n\n" % (n, n) for n in range(first, count + 1))


@given(st.integers(0, 12), st.lists(st.tuples(st.integers(0, 500), st.integers(1, 40)), max_size=8))
def test_a_stream_cut_anywhere_and_resumed_loses_and_doubles_nothing(count: int, lives: list[tuple[int, int]]) -> None:
    last_id, found = "", []
    for length, piece in [*lives, (1_000_000, 7)]:
        reader, stream = Reader(last_id), serve(count, last_id)[:length]
        for start in range(0, len(stream), piece):
            found += [event.data for event in reader.feed(stream[start : start + piece])]
        last_id = reader.last_id
    assert found == [str(n) for n in range(1, count + 1)]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_any_bytes_are_survived_and_read_the_same_when_cut(stream: bytes, cuts: list[int]) -> None:
    assert read(stream, cuts)[0] == read(stream, [])[0]


def test_an_event_too_long_is_passed_over_and_counted() -> None:
    long = b"x" * (sse.LINE_CAP // 2 + 10)
    stream = b"id: 5\ndata: " + long + b"\ndata: " + long + b"\n\nid: 6\ndata: ok\n\n"
    found, reader = read(stream, [])
    assert [event.data for event in found] == ["ok"]
    assert reader.skipped == 1


def test_a_line_too_long_is_passed_over_without_being_kept() -> None:
    reader = Reader()
    assert list(reader.feed(b"id: 5\ndata: ")) == []
    for _ in range(3):
        assert list(reader.feed(b"x" * sse.LINE_CAP)) == []
        assert len(reader._tail) <= sse.LINE_CAP
    assert [event.data for event in reader.feed(b"\n\ndata: ok\n\n")] == ["ok"]
    assert reader.last_id == "5"


def test_an_id_with_nul_and_a_retry_that_is_no_number_are_ignored() -> None:
    _, reader = read(b"id: 1\ndata: a\n\nid: \0\nretry: 5s\ndata: b\n\n", [])
    assert (reader.last_id, reader.retry_ms) == ("1", None)


def test_empty_data_lines_fill_no_memory_either() -> None:
    reader = Reader(cap=100)
    assert list(reader.feed(b"data\n" * 1000)) == []
    assert len(reader._data) <= 101
    assert list(reader.feed(b"\nevent: x\ndata: y\n\n")) == [Event(name="x", data="y")]
    assert reader.skipped == 1
