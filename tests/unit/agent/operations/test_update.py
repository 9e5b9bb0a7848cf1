"""An update order: whatever happens, one version runs in the end and it is told once what came of it."""

from pathlib import Path

import httpx
import pytest

from nanny_ops.machine import trial
from nanny_ops.machine.policy import Policy
from nanny_ops.machine.update_verbs import UpdatePhase
from tests.fakes.updating import CONTENT, UpdatingAgent


def outcomes(agent: UpdatingAgent) -> list[str]:
    return [one["outcome"] for one in agent.told]


@pytest.mark.rows("F7")
def test_the_new_version_reports_that_it_runs(tmp_path: Path) -> None:
    agent = UpdatingAgent(tmp_path)
    agent.until_done()
    assert (outcomes(agent), agent.current) == (["ok"], "2.0")
    assert trial.look(agent.versions).phase is UpdatePhase.NONE
    assert not list(tmp_path.glob("release-*"))
    agent.order("update-2")
    agent.until_done()
    assert outcomes(agent) == ["ok", "nothing_to_do"]


@pytest.mark.rows("F7")
def test_a_version_that_does_not_come_up_is_given_back_and_refused_until_forced(tmp_path: Path) -> None:
    agent = UpdatingAgent(tmp_path, healthy=False)
    agent.until_done()
    assert (outcomes(agent), agent.current) == (["rolled_back"], "1.0")
    agent.order("update-2")
    agent.until_done()
    assert outcomes(agent)[1:] == ["refused"]
    agent.order("update-3", force=True)
    agent.healthy = True
    agent.until_done()
    assert (outcomes(agent)[2:], agent.current) == (["ok"], "2.0")


@pytest.mark.rows("F7")
def test_what_is_refused_changes_nothing(tmp_path: Path) -> None:
    agent = UpdatingAgent(tmp_path, valid=False)
    agent.until_done()
    assert outcomes(agent) == ["signature_invalid"]
    agent.order("update-2")
    agent.valid, agent.policy = True, Policy()
    agent.until_done()
    agent.order("update-3")
    agent.policy, agent.content = Policy(operations=frozenset({"update"})), bytes(len(CONTENT))
    agent.until_done()
    agent.order("update-4")
    agent.content, agent.free = CONTENT, 0
    agent.until_done()
    assert outcomes(agent)[1:] == ["refused", "checksum_mismatch", "disk_full"]
    assert [path.name for path in (agent.versions.prefix / "versions").iterdir()] == ["1.0"]


@pytest.mark.rows("F7")
def test_a_self_test_that_fails_is_told_and_nothing_is_switched(tmp_path: Path) -> None:
    agent = UpdatingAgent(tmp_path, self_test="echo no such setting >&2; exit 2")
    agent.until_done()
    assert (outcomes(agent), agent.current) == (["update_failed"], "1.0")
    assert "no such setting" in agent.told[0]["reason"]


@pytest.mark.rows("F7")
def test_a_line_that_breaks_and_is_slow_brings_it_and_one_that_stalls_does_not(tmp_path: Path) -> None:
    agent = UpdatingAgent(tmp_path)
    begun: list[int] = []

    def some(begin: int) -> httpx.Response:
        begun.append(begin)
        return httpx.Response(206 if begin else 200, content=CONTENT[begin : begin + 50_000])

    agent.serve = some
    agent.until_done()
    assert (outcomes(agent), begun) == (["ok"], [0, 50_000, 100_000, 150_000, 200_000])
    (tmp_path / "stalled").mkdir()
    stalled = UpdatingAgent(tmp_path / "stalled")
    stalled.serve = lambda begin: httpx.Response(206 if begin else 200, content=b"x")
    stalled.until_done()
    assert (outcomes(stalled), stalled.current) == (["timed_out"], "1.0")
