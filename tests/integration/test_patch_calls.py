"""How often a job calls ``pct``: each call costs most of a second of a node's CPU.

Counted by a ``pct`` that notes its calls before another one does its work: the lab's, into a real container.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import Lab
from nanny_ops.machine import job as jobs
from nanny_ops.machine.plan import HookScript, Plan
from nanny_ops.machine.supervisor import Supervisor
from nanny_ops.machine.verbs import JobResult, ScriptJob
from nanny_ops.protocol.probe import Probe
from tests.lab_fixtures import need_real_containers
from tests.unit.machine.fake_pct import FakePct

VMID = 101
LIST = """echo '[{"name":"app","version":"2"}]'"""
COUNTING = '#!/bin/sh\necho "$1" >>{calls}\nexec {pct} "$@"\n'
PROBES = [
    Probe(kind="services"),
    Probe(kind="load", most=10_000.0),
    Probe(kind="command", argv=["test", "-d", "/"]),
    Probe(kind="command", argv=["sh", "-c", "echo loud; echo louder >&2"]),
    Probe(kind="services"),
]


@dataclass
class Post:
    """A node with one container."""

    folder: Path
    environ: dict[str, str]
    calls_file: Path

    def go(self, plan: Plan | None, *, dry_run: bool = False) -> JobResult:
        """Run a job to its end in this process."""
        script = f"#!/bin/sh\n{LIST}\n".encode()
        order = ScriptJob(
            job_id=f"calls-{os.urandom(4).hex()}",
            vmid=VMID,
            script=script,
            sha256=hashlib.sha256(script).hexdigest(),
            argv=["--dry-run"] if dry_run else [],
            timeout_seconds=60,
            dry_run=dry_run,
            output_cap=1 << 20,
            plan=plan,
        )
        jobs.start(self.folder / "jobs", order, launch=lambda *_: None)
        self.calls_file.write_text("")
        directory = self.folder / "jobs" / order.job_id
        with jobs.supervised(directory):
            Supervisor(directory, self.environ, jobs.seal(order)).supervise()
        result = jobs.look(self.folder / "jobs", order.job_id).result
        assert result is not None
        return result

    @property
    def calls(self) -> int:
        """Return how often ``pct`` was called by the last job."""
        return len(self.calls_file.read_text().splitlines())


@pytest.fixture(scope="module", params=["here", pytest.param("container", marks=pytest.mark.lxc)])
def post(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Post]:
    """A node whose container's programs run here, and one with a real container."""
    folder = tmp_path_factory.mktemp("post")
    if request.param == "here":
        pct = FakePct(folder)
        pct.container(VMID, "running")
        yield counted(folder, pct.bin / "pct")
        return
    need_real_containers()
    with Lab(LabPlan(nodes=1, guests=1, real=1), tmp_path_factory.mktemp("lab"), refusal_delay=0.05) as lab:
        yield counted(folder, lab.nodes[0].bin_dir / "pct")


def counted(folder: Path, pct: Path) -> Post:
    """Put a ``pct`` that counts before another one."""
    counting = folder / "counting" / "pct"
    counting.parent.mkdir()
    counting.write_text(COUNTING.format(calls=folder / "calls", pct=pct))
    counting.chmod(0o755)
    return Post(folder, {"PATH": f"{counting.parent}:{os.environ['PATH']}"}, folder / "calls")


def hook(stage: str, body: str = "echo said", **more: object) -> HookScript:
    script = f"#!/bin/sh\n{body}\n".encode()
    sha256 = hashlib.sha256(script).hexdigest()
    return HookScript(stage=stage, script_id=stage, script=script, sha256=sha256, **more)  # type: ignore[arg-type]


def test_a_dry_run_takes_at_most_four(post: Post) -> None:
    assert post.go(None, dry_run=True).outcome == "ok"
    assert post.calls <= 4


def test_an_apply_takes_at_most_six_however_much_is_probed(post: Post) -> None:
    result = post.go(Plan(probes=PROBES))
    assert result.outcome == "ok", result.reason
    assert post.calls <= 6
    assert result.report is not None
    assert [one.healthy for one in result.report.probes] == [True] * 10


def test_a_hook_takes_at_most_two_more(post: Post) -> None:
    result = post.go(
        Plan(probes=PROBES, hooks=[hook("pre"), hook("post", "echo tail >&2; exit 3", on_failure="ignore")])
    )
    assert result.outcome == "ok", result.reason
    assert post.calls <= 6 + 2 * 2
    assert result.report is not None
    told = [(one.outcome, one.exit_code, one.tail) for one in result.report.hooks]
    assert told == [("ok", 0, "said"), ("failed", 3, "tail")]


@pytest.mark.parametrize(
    ("script", "sha256", "said"),
    [
        (b"#!/no/such\n", None, "lacks what"),
        (b"#!/usr/bin/env no-such-program\n", None, "lacks what"),
        (b"#!/bin/sh\ntouch /tmp/nanny-must-not-run\n", "0" * 64, "not the one that was sent"),
    ],
)
def test_a_hook_that_is_not_whole_or_cannot_run_is_not_run(
    post: Post, script: bytes, sha256: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nanny_ops.machine.supervisor.forged", lambda *_: None)  # else it does not come so far
    one = HookScript(stage="pre", script_id="h", script=script, sha256=sha256 or hashlib.sha256(script).hexdigest())
    result = post.go(Plan(hooks=[one]))
    assert (result.outcome, result.exit_code) == ("hook_failed", None)
    assert said in result.reason
    assert not Path("/tmp/nanny-must-not-run").exists()
