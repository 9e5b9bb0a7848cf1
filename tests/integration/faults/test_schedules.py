"""Whatever is killed, cut, lost, doubled or full, and when: an order runs once, has one end, and nothing stays open.

The real control plane, store and agent play each class of fault in virtual time. One play is told by its name and its
seed, and comes out the same every time:

    .venv/bin/pytest 'tests/integration/faults/test_schedules.py::test_it_runs_once[answers_lost-17]'
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.fakes.virtual_time import play
from tests.integration.faults.scene import Cast, enrol, perform
from tests.integration.faults.schedules import SCHEDULES, Schedule

SEEDS = range(50)
#: Each play waits for the disk a hundred times: in memory it need not, where there are as many bytes of it.
MEMORY, ROOM = Path("/dev/shm"), 1 << 30


def in_memory() -> str | None:
    """Return a directory in memory, None where there is none that is large enough."""
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return str(MEMORY) if roomy else None


@pytest.fixture(scope="module")
def cast() -> Iterator[Cast]:
    """An enrolled installation at rest."""
    with tempfile.TemporaryDirectory(prefix="nanny-faults-", dir=in_memory()) as home:
        yield play(lambda: enrol(Path(home) / "cast"))


@pytest.mark.rows("G0-PT-01", "G0-RT-05", "G0-PT-08", "F10", "F11")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_it_runs_once(cast: Cast, schedule: Schedule, seed: int) -> None:
    home = cast.home.with_name(f"{schedule.__name__}-{seed}")
    try:
        with structlog.testing.capture_logs():
            play(lambda: perform(cast, home, schedule, seed))
    finally:
        shutil.rmtree(home)
