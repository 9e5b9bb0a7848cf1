"""One job on a target at a time, none beside a reboot of what it runs on, and no reboot that would end a job."""

import json
import subprocess
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nanny_ops.errors import VerbRefused
from nanny_ops.machine.job import supervised
from nanny_ops.machine.occupied import demand_for_job, demand_for_reboot, orphans, running, see_to_lost
from nanny_ops.machine.reboot import folder_of, mark_here
from nanny_ops.machine.session import mark
from nanny_ops.machine.verbs import RebootOrder, ScriptJob

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
JOB = ScriptJob(job_id="new", vmid=101, script=b"", sha256="", argv=[], timeout_seconds=1, dry_run=True, output_cap=1)
REBOOT = RebootOrder(reboot_id="r-new", kind="lxc", vmid=101, reason="", timeout_seconds=300)
HOST = replace(REBOOT, kind="host", vmid=None)


def lay_down_job(jobs: Path, job_id: str, vmid: int | None) -> Path:
    folder = jobs / job_id
    folder.mkdir(parents=True)
    (folder / "order.json").write_text(json.dumps({"vmid": vmid}))
    for name in ("started", "lock", "stdout", "stderr"):
        (folder / name).touch()
    return folder


def lay_down_reboot(jobs: Path, order: RebootOrder, *, before: str = "", result: str | None = None) -> None:
    folder = folder_of(jobs) / order.reboot_id
    folder.mkdir(parents=True)
    kept = {"order": asdict(order), "before": before or mark_here("host", None), "begun_at": "2026-01-01T12:00:00Z"}
    (folder / "order.json").write_text(json.dumps(kept))
    (folder / "started").touch()
    if result is not None:
        (folder / "result.json").write_text(json.dumps({"problem": result}))


def test_only_what_runs_counts(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    assert running(jobs) == []
    folder = lay_down_job(jobs, "old", 101)
    assert running(jobs) == []  # lost: nothing supervises it
    with supervised(folder) as alone:
        assert alone
        assert running(jobs) == [("old", 101)]
        with pytest.raises(VerbRefused, match="job old runs on guest 101") as found:
            demand_for_job(jobs, JOB)
        assert found.value.details["outcome"] == "blocked"
        demand_for_job(jobs, replace(JOB, job_id="old"))
        demand_for_job(jobs, replace(JOB, vmid=102))
        demand_for_job(jobs, replace(JOB, vmid=None))
        for order in (REBOOT, HOST):
            with pytest.raises(VerbRefused, match="would end it"):
                demand_for_reboot(jobs, order)
        demand_for_reboot(jobs, replace(REBOOT, vmid=102))
    demand_for_reboot(jobs, HOST)


def test_a_job_that_has_not_reached_its_script_runs_too(tmp_path: Path) -> None:
    folder = lay_down_job(tmp_path / "jobs", "old", 101)
    (folder / "started").unlink()
    (folder / "journal.ndjson").touch()  # as during its backup, or a hook before its script
    with supervised(folder), pytest.raises(VerbRefused, match="job old runs"):
        demand_for_reboot(tmp_path / "jobs", HOST)


def test_while_something_reboots_nothing_begins_on_it(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    lay_down_reboot(jobs, replace(HOST, reboot_id="r-old"))
    for order in (JOB, replace(JOB, vmid=None)):
        with pytest.raises(VerbRefused, match="The host reboots, by the order r-old"):
            demand_for_job(jobs, order, lambda: NOON)
    with pytest.raises(VerbRefused, match="reboots already"):
        demand_for_reboot(jobs, REBOOT, lambda: NOON)
    demand_for_reboot(jobs, replace(HOST, reboot_id="r-old"), lambda: NOON)
    late = NOON + timedelta(seconds=301)
    demand_for_job(jobs, JOB, lambda: late)
    demand_for_reboot(jobs, HOST, lambda: late)


def test_one_that_is_over_holds_nothing_back(tmp_path: Path) -> None:
    for name, kept in (("proved", {"before": "another boot"}), ("failed", {"result": "It was inhibited."})):
        jobs = tmp_path / name / "jobs"
        lay_down_reboot(jobs, HOST, **kept)
        demand_for_job(jobs, JOB, lambda: NOON)


def test_a_guest_that_reboots_holds_back_its_own_jobs_only(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    lay_down_reboot(jobs, replace(REBOOT, reboot_id="r-old"))
    with pytest.raises(VerbRefused, match="Guest 101 reboots"):
        demand_for_job(jobs, JOB, lambda: NOON)
    demand_for_job(jobs, replace(JOB, vmid=102), lambda: NOON)
    with pytest.raises(VerbRefused):
        demand_for_reboot(jobs, HOST, lambda: NOON)


def test_who_holds_the_target_looks_only_for_what_runs_unsupervised(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    folder = lay_down_job(jobs, "old", 101)
    with supervised(folder):
        assert orphans(jobs) == []
        demand_for_job(jobs, JOB, find=orphans)
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as script:
        (folder / "session").write_text(mark(script.pid))
        with pytest.raises(VerbRefused, match="job old runs on guest 101"):
            demand_for_job(jobs, JOB, find=orphans)
        script.kill()
    assert orphans(jobs) == []


def test_a_job_that_was_lost_on_the_same_target_is_seen_to_first(tmp_path: Path) -> None:
    jobs, seen = tmp_path / "jobs", list[str]()
    for name, vmid in (("new", 101), ("elsewhere", 102), ("old", 101)):
        lay_down_job(jobs, name, vmid)
    see_to_lost(jobs, JOB, lambda _folder, name: seen.append(name))
    assert seen == ["old"]
