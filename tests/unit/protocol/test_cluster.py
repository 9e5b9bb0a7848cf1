"""What belongs to a whole cluster."""

import pytest
from pydantic import TypeAdapter, ValidationError

from nanny_ops.protocol.cluster import BackupJob, Ceph


def test_a_backup_job_names_guests_or_takes_all() -> None:
    job = TypeAdapter(BackupJob).validate_python({"id": "backup-1", "everything": True, "exclude": [105]})
    assert (job.everything, job.guests, job.exclude, job.enabled) == (True, [], [105], True)


def test_ceph_of_an_unknown_size_is_not_empty() -> None:
    assert TypeAdapter(Ceph).validate_python({"health": "HEALTH_OK"}).total is None


def test_a_job_without_a_name_is_refused() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(BackupJob).validate_python({"id": ""})
