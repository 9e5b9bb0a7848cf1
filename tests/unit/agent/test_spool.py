"""The spool: orders are kept, readings are bounded, a damaged file is moved aside."""

import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanny_ops.agent import spool as module
from nanny_ops.agent.order import Finding, Order, State
from nanny_ops.agent.spool import Reading, Spool, peek
from nanny_ops.errors import DiskFull, SpoolError
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.patch import PackageChange


def order(order_id: str = "op-1", **record: Any) -> Order:
    return Order(id=order_id, kind="patch", record={"id": order_id, **record})


@pytest.fixture
def spool(tmp_path: Path) -> Any:
    made = Spool(tmp_path / "spool.db", cap=5)
    yield made
    made.close()


def test_subjects_can_be_passed_over(spool: Spool) -> None:
    subjects = ["lxc/100", None, "lxc/it's", None]
    spool.keep([Reading(path="/x", body=b"%d" % number, subject=one) for number, one in enumerate(subjects)])

    def bodies(*besides: str) -> list[bytes]:
        return [one.body for one in spool.oldest(9, besides)]

    assert bodies() == [b"0", b"1", b"2", b"3"]
    assert bodies("lxc/it's", "lxc/7") == [b"0", b"1", b"3"]
    assert bodies("") == [b"0", b"2"]
    assert bodies("", "lxc/100", "lxc/it's") == []


def test_the_same_id_twice_is_one_order_and_the_first_stays(spool: Spool) -> None:
    assert spool.accept(order(a=1))
    assert not spool.accept(order(a=2))
    found = spool.find("op-1")
    assert found is not None
    assert found.record["a"] == 1


def test_orders_outlive_the_process_with_what_they_came_to(tmp_path: Path) -> None:
    finding = Finding(outcome=Outcome.OK, packages=[PackageChange(name="nginx")], exit_code=0, stdout_path="/x")
    first = Spool(tmp_path / "s.db", cap=1)
    first.accept(order())
    first.move("op-1", State.STARTED)
    first.finish("op-1", finding)
    first.close()
    second = Spool(tmp_path / "s.db", cap=1)
    assert second.unfinished() == [
        Order(id="op-1", kind="patch", record={"id": "op-1"}, state=State.FINISHED, finding=finding)
    ]
    second.close()


def test_an_ended_order_does_not_come_back_to_life(spool: Spool) -> None:
    spool.accept(order())
    spool.move("op-1", State.DELIVERED)
    spool.move("op-1", State.ACKED)
    assert spool.unfinished() == []


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=40))
def test_orders_come_out_in_the_order_of_their_arrival(numbers: list[int]) -> None:
    with tempfile.TemporaryDirectory() as home:
        spool = Spool(Path(home) / "s.db", cap=1)
        for number in numbers:
            spool.accept(order(f"op-{number}"))
        assert [one.id for one in spool.unfinished()] == [f"op-{n}" for n in dict.fromkeys(numbers)]
        spool.close()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["metrics", "node/a", "node/b"]), st.integers(0, 99)), max_size=40),
    st.integers(1, 6),
)
def test_readings_are_bounded_and_the_oldest_go_first(given_: list[tuple[str, int]], cap: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        spool = Spool(Path(home) / "s.db", cap=cap)
        for subject, number in given_:
            kept = None if subject == "metrics" else subject
            spool.keep([Reading(path="/p", body=str(number).encode(), subject=kept)])
        found = spool.oldest(1000)
        spool.close()
    plain = [str(n).encode() for subject, n in given_ if subject == "metrics"][-cap:]
    assert [one.body for one in found if one.subject is None] == plain
    newest = {subject: str(n).encode() for subject, n in given_ if subject != "metrics"}
    assert {one.subject: one.body for one in found if one.subject} == newest


def test_orders_are_never_dropped_for_readings(spool: Spool) -> None:
    spool.accept(order())
    for _ in range(50):
        spool.keep([Reading(path="/p", body=b"x")])
    assert len(spool.unfinished()) == 1
    assert len(spool.oldest(100)) == 5


def test_readings_leave_one_by_one(spool: Spool) -> None:
    spool.keep([Reading(path="/p", body=b"1"), Reading(path="/q", body=b"2", subject="s")])
    spool.acknowledged(spool.oldest(1)[0].seq)
    assert [one.body for one in spool.oldest(5)] == [b"2"]
    spool.superseded(["s"])
    assert spool.oldest(5) == []


def test_only_old_ended_orders_are_forgotten(tmp_path: Path) -> None:
    time = [0.0]
    spool = Spool(tmp_path / "s.db", cap=1, clock=lambda: time[0])
    for name in ("old", "open", "new"):
        spool.accept(order(name))
    spool.move("old", State.DELIVERED)
    time[0] = module.REMEMBER_SECONDS + 1.0
    spool.move("new", State.DELIVERED)
    assert spool.prune() == ["old"]
    assert [spool.find(name) is not None for name in ("old", "open", "new")] == [False, True, True]
    spool.close()


def test_the_number_of_remembered_orders_is_bounded(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s.db", cap=1, remember=3)
    for number in range(6):
        spool.accept(order(f"op-{number}"))
        spool.move(f"op-{number}", State.DELIVERED)
    assert spool.prune() == ["op-0", "op-1", "op-2"]
    spool.close()


@pytest.mark.parametrize("damage", [b"this is no database, " * 300, None])
def test_a_damaged_file_is_moved_aside_and_a_new_one_made(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "s.db"
    first = Spool(path, cap=1)
    for number in range(200):
        first.accept(order(f"op-{number}", text="x" * 500))
    first.close()
    content = path.read_bytes()
    path.write_bytes(damage or content[:8192] + b"\xa5" * (len(content) - 8192))
    second = Spool(path, cap=1)
    assert second.accept(order("op-0"))
    second.close()
    assert len([one for one in tmp_path.iterdir() if ".damaged-" in one.name]) >= 1


def test_damage_that_shows_while_the_file_is_in_use_is_moved_aside_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path / "s.db", cap=1)
    for number in range(400):
        spool.accept(order(f"op-{number}", text="x" * 3000))
    spool._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with spool.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (spool.path.stat().st_size - 4096))
    with pytest.raises(SpoolError, match="malformed"):
        spool.unfinished()
    assert caplog.text.count("event=spool_damaged") == 1
    assert spool.accept(order("op-0"))
    assert [one.id for one in spool.unfinished()] == ["op-0"]
    spool.close()


def test_a_full_disk_has_its_name(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s.db", cap=10_000)
    pages = spool._db.execute("PRAGMA page_count").fetchone()[0]
    spool._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(DiskFull):
        spool.accept(order("op-1", text="x" * 400_000))
    assert spool.find("op-1") is None
    spool._db.execute("PRAGMA max_page_count=100000")
    assert spool.accept(order("after"))
    spool.close()


def test_a_file_that_may_not_grow_is_an_error_with_a_name(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s.db", cap=10)
    spool._db.execute("PRAGMA query_only=1")
    with pytest.raises(SpoolError, match="read-only"):
        spool.accept(order())
    spool.close()


def test_a_place_that_is_no_directory_is_an_error_with_a_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError):
        Spool(tmp_path / "file" / "s.db", cap=1)
    with pytest.raises(SpoolError):
        Spool(tmp_path, cap=1)


def test_the_file_is_private(spool: Spool) -> None:
    assert spool.path.stat().st_mode & 0o077 == 0


def test_counting_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    assert peek(path) is None
    spool = Spool(path, cap=5)
    spool.accept(order("a"))
    spool.accept(order("b"))
    spool.finish("b", Finding(outcome=Outcome.OK))
    spool.accept(order("c"))
    spool.move("c", State.UNDELIVERABLE, "409")
    spool.keep([Reading(path="/p", body=b"1")])
    counts = peek(path)
    assert counts == module.Counts(open_orders=1, undelivered_results=1, undeliverable=1, readings=1)
    spool.close()
    before = {one.name: one.stat().st_mtime_ns for one in tmp_path.iterdir()}
    assert peek(path) == counts
    assert {one.name: one.stat().st_mtime_ns for one in tmp_path.iterdir()} == before


def test_counting_a_damaged_file_is_an_error_with_a_name(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(SpoolError):
        peek(path)


def test_what_is_written_is_on_disk(spool: Spool) -> None:
    assert spool._db.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert spool._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    with sqlite3.connect(spool.path) as other:
        spool.accept(order())
        assert other.execute("SELECT count(*) FROM orders").fetchone()[0] == 1
    other.close()


def test_a_spool_of_an_earlier_release_is_widened(tmp_path: Path) -> None:
    made = Spool(tmp_path / "spool.db", cap=1)
    made.accept(order())
    for name in module._ADDED:
        made._db.execute(f"ALTER TABLE orders DROP COLUMN {name}")
    made.close()
    made = Spool(tmp_path / "spool.db", cap=1)
    made.claim("op-1", "mine", 3)
    found = made.find("op-1")
    made.close()
    assert found is not None
    assert (found.claim, found.lease, found.state) == ("mine", 3, State.RECEIVED)
