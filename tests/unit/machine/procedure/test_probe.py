"""Probes: what cannot be told is not healthy, what was ill before is not blamed on the change."""

from dataclasses import replace
from pathlib import Path

import pytest

from nanny_ops.machine.plan import Plan
from nanny_ops.machine.procedure import probe
from nanny_ops.protocol.probe import Probe
from tests.unit.machine.procedure.stage import UNIT, Play, ended

SERVICES = Probe(kind="services")


def test_what_served_before_serves_now(tmp_path: Path) -> None:
    play = Play(tmp_path, Plan(probes=[SERVICES]))
    scene = play.scene()
    probe.baseline(scene)
    assert [one.healthy for one in probe.look_at_all(scene, "after")] == [True]
    play.target.serving = "port 0050\n"
    (result,) = probe.look_at_all(scene, "after")
    assert (result.healthy, result.reason) == (False, "No longer there: app.service.")


@pytest.mark.parametrize(
    ("one", "done", "healthy"),
    [
        (UNIT, ended(0, b"active\n"), True),
        (UNIT, ended(3, b"failed\n"), False),
        (UNIT, ended(127), None),
        (Probe(kind="command", argv=["check"]), ended(0), True),
        (Probe(kind="command", argv=["check"]), ended(2, stderr=b"bad"), False),
        (Probe(kind="command", argv=["check"]), ended(None, timed_out=True), None),
        (Probe(kind="load", most=1.0), ended(0, b"1.50\n2\n"), True),
        (Probe(kind="load", most=1.0), ended(0, b"1.50\n1\n"), False),
        (Probe(kind="load", most=1.0), ended(255), None),
        (Probe(kind="tcp", host="127.0.0.1", port=1, timeout_seconds=1), ended(0), False),
        (Probe(kind="http", url="http://192.0.2.1.invalid/", timeout_seconds=1), ended(0), False),
        (Probe(kind="tcp", port=1), ended(0), None),
    ],
)
def test_each_kind_says_yes_no_or_that_it_cannot_tell(tmp_path: Path, one: Probe, done, healthy: bool | None) -> None:
    play = Play(tmp_path, Plan(probes=[one]))
    play.target.one = lambda argv: done  # type: ignore[method-assign]
    (result,) = probe.look_at_all(play.scene(), "after")
    assert result.healthy is healthy
    assert result.name.startswith(one.kind)


def test_a_service_that_needs_a_moment_gets_it_and_no_more(tmp_path: Path) -> None:
    play = Play(tmp_path, Plan(probes=[UNIT]))
    scene = play.scene()
    play.target.works_with = ()
    assert not probe.settle(scene, "after")[0].healthy
    assert sum(play.time.slept) == pytest.approx((probe.LOOKS - 1) * probe.PAUSE)
    play.target.works_with = ("1",)
    assert probe.settle(scene, "after")[0].healthy


def test_what_was_ill_before_is_not_worse(tmp_path: Path) -> None:
    play = Play(tmp_path, Plan(probes=[UNIT, replace(UNIT, unit="b.service")]))
    play.target.works_with = ()
    scene = play.scene()
    assert "Not healthy before" in probe.baseline(scene)
    assert probe.worse(scene, probe.look_at_all(scene, "after")) == []


def test_a_round_is_one_call_whatever_it_asks(tmp_path: Path) -> None:
    kinds = [UNIT, SERVICES, Probe(kind="load", most=9.0), Probe(kind="command", argv=["true"]), SERVICES, UNIT]
    play = Play(tmp_path, Plan(probes=kinds))
    calls: list[None] = []
    play.target.before = lambda: calls.append(None)
    scene = play.scene()
    probe.baseline(scene)
    probe.settle(scene, "after")
    assert len(calls) == 2


def test_a_machine_is_asked_inside_for_its_own_ports_alone(tmp_path: Path) -> None:
    ports = [Probe(kind="tcp", port=22), Probe(kind="tcp", host="127.0.0.1", port=1, timeout_seconds=1)]
    play = Play(tmp_path, Plan(probes=ports))
    play.target.one = lambda argv: ended(0, b"listens\n" if argv[-1] == "0016" else b"")  # type: ignore[method-assign]
    scene = play.scene()
    scene.job = replace(scene.job, guest="qemu")
    assert [one.healthy for one in probe.look_at_all(scene, "after")] == [True, False]
