"""A reading is bounded where nature bounds it, and needs what a host always has."""

from dataclasses import MISSING, fields
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from nanny_ops.protocol.metrics import Filesystem, SystemMetrics

METRICS = TypeAdapter(SystemMetrics)


@pytest.fixture
def least() -> dict[str, Any]:
    """The fields without a default, each at zero or a word."""
    words = {"agent_id": "agent-1", "timestamp": "2026-01-31T02:00:00Z", "hostname": "pve1"}
    required = [f.name for f in fields(SystemMetrics) if f.default is MISSING and f.default_factory is MISSING]
    return {name: words.get(name, 0) for name in required}


def test_the_least_reading_is_taken(least: dict[str, Any]) -> None:
    reading = METRICS.validate_python(least)
    assert (reading.os, reading.location, reading.filesystem_info) == ("linux", "unknown", [])


@pytest.mark.parametrize(
    "change",
    [
        {"cpu_usage": 100.1},
        {"disk_usage": -0.1},
        {"memory_total": -1},
        {"memory_total": 2**63},
        {"hostname": "h" * 256},
        {"agent_id": ""},
        {"cpu_cores": 70_000},
    ],
)
def test_what_cannot_be_is_refused_at_its_field(least: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        METRICS.validate_python(least | change)
    assert [error["loc"] for error in refused.value.errors()] == [tuple(change)]


def test_a_file_system_names_both_spellings_of_type_and_usage() -> None:
    assert {"type", "fstype", "usage", "usage_percent"} <= {f.name for f in fields(Filesystem)}
