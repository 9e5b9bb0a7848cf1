"""One reading of this very machine, and the sums behind it."""

from dataclasses import fields
from pathlib import Path

import pytest

from nanny_ops.machine.host import describe
from nanny_ops.machine.metrics import Meter, addresses, cpu_model, filesystems
from nanny_ops.protocol.metrics import BlockDevice, Filesystem, SystemMetrics


@pytest.fixture(scope="module")
def values():
    return Meter().read(describe(addresses())).values


@pytest.mark.rows("G0-ME-01", "G0-ME-02")
def test_a_reading_fills_every_field_of_the_wire(values):
    of_the_agent = {"agent_id", "timestamp", "version", "features", "policy"}
    expected = {field.name for field in fields(SystemMetrics)} - of_the_agent
    assert set(values) == expected
    SystemMetrics(agent_id="a", timestamp="t", **values)
    for entry in values["filesystem_info"]:
        Filesystem(**entry)
    for entry in values["block_devices"]:
        BlockDevice(**entry)


def test_the_numbers_are_this_machines(values):
    memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    assert values["memory_total"] == int(memory["MemTotal"].split()[0]) * 1024
    assert values["memory_usage"] == pytest.approx(values["memory_used"] / 2**20, abs=0.1)
    assert 0 <= values["cpu_usage"] <= 100
    processes = sum(path.name.isdigit() for path in Path("/proc").iterdir())
    assert abs(values["process_count"] - processes) < 50
    assert values["process_count"] > 0
    assert "127.0.0.1" not in values["all_ips"]


def test_each_device_appears_once_and_the_root_is_there():
    found = filesystems()
    assert len({entry["device"] for entry in found}) == len(found)
    assert "/" in {entry["mountpoint"] for entry in found}


def test_usage_is_that_since_the_last_reading():
    meter = Meter()
    first = {"user": 10.0, "system": 0.0, "idle": 80.0, "iowait": 10.0, "guest": 5.0, "guest_nice": 0.0}
    assert meter.usage(first) == 10.0
    assert meter.usage({**first, "user": 13.0, "idle": 81.0}) == 75.0
    assert meter.usage({**first, "user": 13.0, "idle": 81.0}) == 0.0


def test_counters_that_run_backwards_stay_in_bounds():
    meter = Meter()
    meter.usage({"user": 10.0, "idle": 10.0})
    assert meter.usage({"user": 11.0, "idle": 9.5}) == 100.0


def test_the_processors_name(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 2.30GHz\n")
    assert cpu_model(tmp_path) == "Some CPU @ 2.30GHz"
    assert cpu_model(tmp_path / "nowhere") == ""
