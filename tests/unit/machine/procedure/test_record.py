"""Records of our snapshots outlive their jobs, and a broken one counts as lost."""

from pathlib import Path

from nanny_ops.machine.procedure.record import FOLDER, Record, Records


def test_records_are_kept_by_guest_and_age(tmp_path: Path) -> None:
    records = Records(tmp_path / "jobs")
    new = Record(vmid=101, name="nanny-b", job_id="2", made=2.0)
    old = Record(vmid=101, name="nanny-c", job_id="1", made=1.0)
    for record in (new, old, Record(vmid=1010, name="nanny-d", job_id="3", made=0.0)):
        records.add(record)
    assert Records(tmp_path / "jobs").of(101) == [old, new]
    records.remove(old)
    records.remove(old)
    assert records.of(101) == [new]


def test_a_broken_record_is_no_record(tmp_path: Path) -> None:
    records = Records(tmp_path / "jobs")
    records.add(Record(vmid=101, name="nanny-b", job_id="2", made=2.0))
    (tmp_path / FOLDER / "101.nanny-b.json").write_text("{")
    (tmp_path / FOLDER / "101.x.json").write_text('{"vmid": 102, "name": "nanny-x", "job_id": "", "made": 1}')
    assert records.of(101) == []
