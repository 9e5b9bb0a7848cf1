"""How a script reaches its target, and how a target's troubles are told from a script's."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from nanny_ops.machine.run import Done, run
from nanny_ops.machine.shebang import parse
from nanny_ops.machine.target import ERRAND, Call, Here, Lxc, choose, folder
from nanny_ops.protocol.operation import Outcome
from tests.unit.machine.fake_pct import FakePct

GOLDEN = Path(__file__).parents[2] / "golden" / "pct"


@pytest.fixture
def pct(tmp_path):
    fake = FakePct(tmp_path)
    fake.container(101, "running")
    fake.container(103, "stopped")
    return fake


def make_call(tmp_path, script: bytes = b"#!/bin/sh\necho hi\n", **more) -> Call:
    path = tmp_path / "script"
    path.write_bytes(script)
    values = {
        "job_id": f"target-{tmp_path.name}",
        "script": path,
        "sealed": path,
        "sha256": hashlib.sha256(script).hexdigest(),
        "interpreter": parse(script),
        "arguments": ["--dry-run", "--only=a b"],
        "timeout": 20,
    }
    return Call(**{**values, **more})


def pretend(**more):
    """A runner that always answers the same and notes what it was asked."""
    asked = []

    def runner(argv, **options):
        asked.append((list(argv), options))
        return Done(**{"argv": tuple(argv), "exit_code": 0, "stdout": b"", "stderr": b"", **more})

    return runner, asked


def test_choose():
    assert choose(None, {"PATH": "/x"}) == Here("/x")
    chosen = choose(101, {"PATH": "/x"})
    assert isinstance(chosen, Lxc)
    assert chosen.vmid == 101


def test_here_runs_by_the_interpreter_so_the_file_needs_no_execute_bit(tmp_path):
    call = make_call(tmp_path, b"#!/bin/sh -e\n")
    assert Here().stage(call) is None
    assert Here().argv(call) == ["/bin/sh", "-e", str(call.script), "--dry-run", "--only=a b"]


@pytest.mark.parametrize("line", [b"#!/no/such\n", b"#!/usr/bin/env no-such-program\n", b"#!/bin/sh\r\n"])
def test_here_misses_an_interpreter(tmp_path, line):
    problem = Here("/usr/bin:/bin").stage(make_call(tmp_path, line))
    assert problem is not None
    assert problem.outcome is Outcome.INTERPRETER_MISSING
    assert ("Windows" in problem.reason) == line.endswith(b"\r\n")


def test_here_gives_a_clean_environment():
    environment = Here("/special").environment()
    assert environment["PATH"].startswith("/special:/usr/local/sbin")
    assert set(environment) == {"HOME", "LANG", "LC_ALL", "TERM", "DEBIAN_FRONTEND", "PATH"}


@pytest.mark.rows("PVE-22")
def test_lxc_brings_verifies_runs_and_removes(tmp_path, pct):
    script = b'#!/bin/sh\necho "$@ $LC_ALL $DEBIAN_FRONTEND"; echo "${NANNY-clean}"; exit 3\n'
    call = make_call(tmp_path, script)
    target = Lxc(101, {**pct.environ, "NANNY": "secret"})
    assert target.stage(call) is None
    place = Path(folder(call.job_id))
    assert place.stat().st_mode & 0o777 == 0o700
    done = run(target.argv(call), timeout=20, env=target.environment())
    assert done.stdout == b"--dry-run --only=a b C.UTF-8 noninteractive\nclean\n"
    assert done.exit_code == 3
    target.unstage(call)
    assert not place.exists()
    assert all(line.split()[2] == "--" for line in pct.calls if line.startswith("exec"))


@pytest.mark.rows("PVE-25", "PVE-26")
def test_a_script_that_arrives_torn_is_caught_by_the_checksum(tmp_path, pct):
    pct.tear_stdin()
    call = make_call(tmp_path)
    problem = Lxc(101, pct.environ).stage(call)
    Lxc(101, pct.environ).unstage(call)
    assert problem is not None
    assert problem.outcome is Outcome.CHECKSUM_MISMATCH


def test_another_script_than_the_verified_one_is_caught(tmp_path, pct):
    call = make_call(tmp_path, sha256="0" * 64)
    problem = Lxc(101, pct.environ).stage(call)
    Lxc(101, pct.environ).unstage(call)
    assert problem is not None
    assert problem.outcome is Outcome.CHECKSUM_MISMATCH


@pytest.mark.parametrize("line", [b"#!/no/such\n", b"#!/usr/bin/env no-such-program\n"])
def test_an_interpreter_missing_in_the_container(tmp_path, pct, line):
    call = make_call(tmp_path, line)
    problem = Lxc(101, pct.environ).stage(call)
    Lxc(101, pct.environ).unstage(call)
    assert problem is not None
    assert problem.outcome is Outcome.INTERPRETER_MISSING
    assert "container 101" in problem.reason


@pytest.mark.parametrize(("vmid", "outcome"), [(103, Outcome.TARGET_STOPPED), (999, Outcome.TARGET_UNKNOWN)])
def test_a_container_that_cannot_be_used(tmp_path, pct, vmid, outcome):
    problem = Lxc(vmid, pct.environ).stage(make_call(tmp_path))
    assert problem is not None
    assert problem.outcome is outcome
    assert str(vmid) in problem.reason


def test_no_pct_means_no_proxmox(tmp_path):
    problem = Lxc(101, {"PATH": str(tmp_path)}).stage(make_call(tmp_path))
    assert problem is not None
    assert problem.outcome is Outcome.NO_PROXMOX


@pytest.mark.rows("PVE-24")
def test_a_frozen_container_is_named_within_the_errand_deadline(tmp_path):
    runner, asked = pretend(timed_out=True, exit_code=-15)
    problem = Lxc(101, {}, runner).stage(make_call(tmp_path))
    assert problem is not None
    assert problem.outcome is Outcome.TARGET_STOPPED
    assert "frozen" in problem.reason
    assert len(asked) == 1
    assert asked[0][1]["timeout"] == ERRAND


def test_a_full_disk_in_the_container_is_named(tmp_path):
    runner, _ = pretend(exit_code=1, stderr=b"cat: write error: No space left on device\n")
    problem = Lxc(101, {}, runner).stage(make_call(tmp_path))
    assert problem is not None
    assert problem.outcome is Outcome.DISK_FULL


@pytest.mark.rows("PVE-25")
def test_bringing_a_script_costs_one_call_and_hands_over_the_sealed_bytes_alone(tmp_path, pct):
    script = b"#!/bin/sh\n" + b"# long\n" * 30_000
    call = make_call(tmp_path, script)
    call.script.with_name("sealed").write_bytes(script)
    call.script.write_bytes(b"#!/bin/sh\necho changed meanwhile\n")
    assert Lxc(101, pct.environ).stage(replace(call, sealed=call.script.with_name("sealed"))) is None
    assert (Path(folder(call.job_id)) / "script").read_bytes() == script
    assert len([line for line in pct.calls if line.startswith("exec")]) == 1
    Lxc(101, pct.environ).unstage(call)


def test_a_container_without_the_tools_is_named(tmp_path):
    runner, _ = pretend(stdout=b"lacks setsid\nsha256 x\n")
    problem = Lxc(101, {}, runner).stage(make_call(tmp_path))
    assert problem is not None
    assert problem.outcome is Outcome.UNSUPPORTED
    assert "setsid" in problem.reason


def explain(code, said=b"", **status):
    runner, asked = pretend(**status)
    done = Done(argv=(), exit_code=code, stdout=b"", stderr=said)
    return Lxc(101, {}, runner).explain(done), asked


RECORDED = json.loads((GOLDEN / "errors.json").read_text())


@pytest.mark.parametrize("case", [case for case in RECORDED if case["outcome"]], ids=lambda case: case["id"])
def test_what_pct_really_says_before_the_script(case, tmp_path):
    runner, _ = pretend(exit_code=case["rc"], stderr=case["stderr"].encode())
    problem = Lxc(101, {}, runner).stage(make_call(tmp_path))
    assert problem is not None
    assert problem.outcome.value == case["outcome"]


@pytest.mark.rows("PVE-23")
@pytest.mark.parametrize("case", [case for case in RECORDED if case["id"] != "exec_badid"], ids=lambda case: case["id"])
def test_what_pct_really_says_instead_of_running_the_script(case):
    problem, _ = explain(case["rc"], case["stderr"].encode(), stdout=b"status: running\n")
    assert (problem.outcome.value if problem else None) == case["outcome"]


@pytest.mark.rows("PVE-23")
@pytest.mark.parametrize("code", [137, 143])
def test_a_container_that_stops_mid_run_is_lost(code):
    problem, asked = explain(code, stdout=b"status: stopped\n")
    assert problem is not None
    assert problem.outcome is Outcome.TARGET_LOST
    assert asked[0][0] == ["pct", "status", "101"]


def test_a_container_that_leaves_mid_run_is_lost():
    problem, _ = explain(137, exit_code=2, stderr=b"Configuration file 'nodes/n/lxc/101.conf' does not exist\n")
    assert problem is not None
    assert problem.outcome is Outcome.TARGET_LOST


def test_a_killed_script_in_a_running_container_is_the_scripts_own_failure():
    problem, _ = explain(137, stdout=b"status: running\n")
    assert problem is None


def test_an_ordinary_failure_costs_no_further_call():
    problem, asked = explain(100, stdout=b"status: stopped\n")
    assert problem is None
    assert asked == []


@pytest.mark.rows("PVE-23")
def test_a_script_that_quotes_pct_is_not_believed():
    problem, _ = explain(2, b"trying...\ncontainer '101' not running!\n", stdout=b"status: running\n")
    assert problem is None


@pytest.mark.rows("PVE-22")
def test_nothing_of_the_agents_environment_reaches_a_container(tmp_path, pct):
    """The root of a container may read what its programs are given, before anything could clear it."""
    spy = pct.bin / "pct"
    spy.write_text(f"#!/bin/sh\nenv >>{tmp_path}/seen\n" + spy.read_text())
    environ = {**pct.environ, "HTTPS_PROXY": "http://user:hunter2@proxy", "AWS_SECRET": "hunter2"}
    target = choose(101, environ)
    target.stage(make_call(tmp_path))
    run(target.argv(make_call(tmp_path)), timeout=20, env=target.environment())
    target.unstage(make_call(tmp_path))
    seen = (tmp_path / "seen").read_text()
    assert "hunter2" not in seen
    assert "LC_ALL=C\n" in seen, "the texts of a full disk are recognised in English only"


def test_a_node_that_does_not_answer_says_nothing_about_the_container():
    runner, _ = pretend(exit_code=-9, timed_out=True)
    killed = Done(argv=("pct",), exit_code=137, stdout=b"", stderr=b"")
    assert Lxc(101, {}, run=runner).explain(killed) is None


def test_a_containers_words_cannot_drive_a_terminal(tmp_path):
    runner, _ = pretend(exit_code=1, stderr=b"\x1b[2J\x1b]0;owned\x07 mkdir: no\x00")
    problem = Lxc(101, {}, run=runner).stage(make_call(tmp_path))
    assert problem is not None
    assert problem.reason.isprintable()
    assert "owned" in problem.reason
