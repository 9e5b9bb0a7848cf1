"""The verbs about jobs reach their hands; their course is proved beside the jobs themselves."""

import fcntl
from pathlib import Path
from typing import get_args

import pytest

from nanny_ops.errors import ValidationFailed
from nanny_ops.machine.perform_job import perform_job
from nanny_ops.machine.procedure.journal import Journal
from nanny_ops.machine.verbs import CancelJob, ForgetJob, JobPhase, JobVerb, LookJob, StartScript


def test_no_verb_is_forgotten() -> None:
    assert set(get_args(JobVerb)) == {StartScript, LookJob, CancelJob, ForgetJob}


@pytest.mark.parametrize("kind", [LookJob, ForgetJob])
def test_a_job_that_is_not_there(tmp_path: Path, kind: type) -> None:
    assert perform_job(kind(job_id="a"), jobs_dir=tmp_path).phase is JobPhase.ABSENT
    with pytest.raises(ValidationFailed):
        perform_job(kind(job_id="../a"), jobs_dir=tmp_path)


def test_a_running_job_tells_its_steps(tmp_path: Path) -> None:
    directory = tmp_path / "a"
    directory.mkdir()
    for name in ("order.json", "lock"):
        (directory / name).write_text("{}")
    Journal(directory).begin("preflight")
    with (directory / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = perform_job(LookJob(job_id="a"), jobs_dir=tmp_path)
    steps = [(one.name, one.outcome) for one in state.steps]
    assert (state.phase, steps) == (JobPhase.RUNNING, [("preflight", "running")])
