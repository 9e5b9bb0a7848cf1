"""One lab of real containers for the whole run, and installations in real processes that stand on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nanny_ops.lab import lxc
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import Lab
from tests.e2e.agent_process import processes_naming
from tests.e2e.site import Site

#: Five nodes with a real container each, so that five schedules of one fault run at once; the other guests are
#: two simulated containers and three machines, which only report.
PLAN = LabPlan(nodes=5, guests=10, real=5)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A pretended cluster with real containers; skips where they are not possible, which is a failure with CI=true."""
    if missing := lxc.missing():
        pytest.skip(" ".join(missing))
    with Lab(PLAN, tmp_path_factory.mktemp("lab"), refusal_delay=0) as opened:
        yield opened
    assert processes_naming(str(opened.home)) == [], "the lab left processes behind"
    assert not opened.home.exists(), "the lab left its directory behind"


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    """An installation of its own for each file of tests: a control plane and agents on the first two nodes.

    A file's ``AGENT_SETTINGS`` are told to its agents.
    """
    home: Path = tmp_path_factory.mktemp(request.module.__name__.rpartition(".")[2])
    settings = getattr(request.module, "AGENT_SETTINGS", {})
    made = Site(lab, home / "site", lab.nodes[:2], agent_settings=settings)
    try:
        made.open()
        yield made
    finally:
        made.close()
