"""What a reader is told of an operation: everything once, in the order in which it was."""

from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from nanny_ops.control.services import watch as service
from nanny_ops.control.services.bookmark import Mark
from nanny_ops.control.services.watch import Watched
from nanny_ops.control.store.operation import Operation
from nanny_ops.protocol.clock import micros, stamp
from nanny_ops.protocol.patch_report import Step
from tests.unit.control.services.test_operation import order

PREFLIGHT, SCRIPT, PROBE = Step(name="preflight"), Step(name="script", outcome="failed"), Step(name="probe")


def going(step: Step) -> Step:
    return replace(step, outcome="running")


class Tale:
    """Reads one operation as it goes on."""

    def __init__(self, now: datetime) -> None:
        self.now, self.mark = now, Mark()

    def look(self, operation: Operation, *steps: Step) -> list[str]:
        found = [*service.opening(operation, steps, self.mark)]
        found += service.closing(operation, steps, self.mark, self.now)
        return [" ".join(str(word) for word in _words(asdict(one))) for one in found]


def _words(told: dict[str, Any]) -> list[Any]:
    words = ["status", "outcome", "reason"] if "status" in told else ["number", "name", "outcome"]
    return [told[word] for word in words if told[word]]


def test_each_change_is_told_once(now: datetime) -> None:
    tale, placed = Tale(now), order(now)
    assert [tale.look(placed) for _ in range(2)] == [["pending"], []]
    waits = replace(placed, reason="It waits.")
    assert tale.look(waits) == ["pending It waits."]
    running = replace(placed, status="running", delivered_at=micros(now), started_at=micros(now))
    assert tale.look(running, going(PREFLIGHT)) == ["delivered", "running", "1 preflight running"]
    assert tale.look(running, PREFLIGHT, going(SCRIPT)) == ["1 preflight ok", "2 script running"]
    assert tale.look(running, PREFLIGHT, going(SCRIPT)) == []
    assert not tale.mark.done
    ended = replace(running, status="failed", outcome="script_failed", result={}, finished_at=micros(now))
    assert tale.look(ended, PREFLIGHT, SCRIPT, PROBE) == ["2 script failed", "3 probe ok", "failed script_failed"]
    assert tale.mark.done


def test_output_comes_between_the_beginning_and_the_end_of_the_script(now: datetime) -> None:
    ended = replace(order(now), status="completed", outcome="ok", started_at=micros(now), finished_at=micros(now))
    mark = Mark()
    before = [asdict(one) for one in service.opening(ended, [PREFLIGHT, SCRIPT, PROBE], mark)]
    assert [" ".join(_words(one)[1:2]) for one in before] == ["", "", "preflight", "script"]
    after = [asdict(one) for one in service.closing(ended, [PREFLIGHT, SCRIPT, PROBE], mark, now)]
    assert [one.get("outcome") for one in after] == ["failed", "ok", "ok"]


def test_a_late_result_is_told_after_what_was_believed(now: datetime) -> None:
    later = now + timedelta(seconds=60)
    running = replace(order(now), status="running", started_at=micros(now), held_until=micros(later))
    cancelled = replace(running, status="cancelled", outcome="cancelled", reason="By op.", finished_at=micros(now))
    tale = Tale(now)
    assert tale.look(cancelled) == ["pending", "running", "cancelled cancelled By op."]
    assert (tale.mark.done, service.is_over(cancelled, now), service.is_over(cancelled, later)) == (False, False, True)
    past = {"status": "cancelled", "outcome": "cancelled", "reason": "By op.", "at": stamp(now)}
    late = replace(cancelled, status="completed", outcome="ok", reason="", held_until=None, result={"history": [past]})
    assert tale.look(late) == ["completed ok"]
    assert tale.mark.done
    assert Tale(now).look(late) == ["pending", "running", "cancelled cancelled By op.", "completed ok"]


def test_the_end_counts_what_became_of_all(now: datetime) -> None:
    ones = [order(now), replace(order(now), outcome="ok"), replace(order(now), outcome="ok")]
    assert service.end(Watched("batch-1", "team", ones, True)).summary == {"pending": 1, "ok": 2}
