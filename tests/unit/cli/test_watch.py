"""Following an order: every byte once, every change of status once, and an end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from nanny_ops.cli.client import Client
from nanny_ops.cli.watch import Watch
from nanny_ops.errors import Forbidden, NotFound, Unavailable
from nanny_ops.protocol.clock import now, stamp
from nanny_ops.protocol.patch import PatchOperation

ORDER = PatchOperation(
    id="patch-1", agent_id="a", mode="apply", status="pending", outcome=None, reason="", target="host", lxc_id="",
    vmid="", script_id="s", script_url="", script_args="", exclude=[], only=[], security_only=False,
    timeout_seconds=60, created_by="u", created_at="", updated_at="", expires_at=stamp(now() + timedelta(hours=1)),
    delivered_at=None, started_at=None, finished_at=None, duration=None, exit_code=None, stdout_truncated=False,
    stderr_truncated=False, package_count=None, package_list=None, history=[],
)  # fmt: skip


class Plane:
    """Answers as a control plane whose order goes on with every look."""

    def __init__(
        self,
        statuses: list[str],
        outputs: list[bytes] | None = None,
        refuses: Exception | None = None,
        order: PatchOperation = ORDER,
    ) -> None:
        self._order = order
        self._statuses = iter(statuses)
        self._outputs = outputs or [b""] * len(statuses)
        self._refuses = refuses
        self._look = -1
        self.asked: list[int] = []

    def patch(self, operation_id: str) -> PatchOperation:
        self._look += 1
        return replace(self._order, id=operation_id, status=next(self._statuses))

    def output(self, _operation_id: str, _stream: str, offset: int) -> bytes:
        self.asked.append(offset)
        if self._refuses is not None:
            raise self._refuses
        return self._outputs[self._look][offset:]


def follow(plane: Plane, order: PatchOperation = ORDER) -> tuple[PatchOperation, bytes, list[str], list[float]]:
    shown: list[bytes] = []
    told: list[str] = []
    slept: list[float] = []
    watch = Watch(
        cast("Client", cast("Any", plane)), shown.append, lambda seen: told.append(seen.status), sleep=slept.append
    )
    return watch.to_end(order), b"".join(shown), told, slept


def test_every_byte_and_every_status_is_told_once() -> None:
    plane = Plane(["pending", "running", "running", "completed"], [b"", b"one\n", b"one\ntwo\n", b"one\ntwo\nthree\n"])
    ended, shown, told, slept = follow(plane)
    assert (ended.status, shown, told) == ("completed", b"one\ntwo\nthree\n", ["pending", "running", "completed"])
    assert len(slept) == 3


def test_who_may_not_read_outputs_may_still_follow() -> None:
    plane = Plane(["running", "failed"], refuses=Forbidden())
    assert follow(plane)[0].status == "failed"
    assert plane.asked == [0]


def test_an_order_without_output_has_an_end_too() -> None:
    assert follow(Plane(["cancelled"], refuses=NotFound()))[0].status == "cancelled"


def test_nobody_waits_for_ever() -> None:
    late = replace(ORDER, expires_at=stamp(now() - timedelta(hours=1)))
    with pytest.raises(Unavailable, match="pending"):
        follow(Plane(["pending"] * 3, order=late))
