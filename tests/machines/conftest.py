"""Machines on which the agent is installed: one for each Debian, shared by all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from nanny_ops.lab import systemd_machine
from nanny_ops.lab.demo_guest import prepared_image
from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.systemd_machine import SystemdMachine
from release.package import build
from release.source import version_of
from release.wheel import architecture
from tests.house.tree import ROOT
from tests.integration.control.conftest import Server, make_server
from tests.machines.agent_node import CODE, GUEST_IMAGE, AgentNode

SUITES = ("bookworm", "trixie")
#: The modules that share the machines of :func:`node`.
SHARED = ("test_carrier.py", "test_units.py")
#: When the package was made, in seconds of the epoch; any time will do.
EPOCH = 1_760_000_000


def need_machines() -> None:
    """Skip where no machine can boot; with CI=true that is a failure."""
    if missing := systemd_machine.missing():
        reason = " ".join(missing)
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


class ByMachine(LoadScopeScheduling):
    """Keeps the tests of one machine in one process; the groups of xdist itself do not reach names in pytest 9."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0].rpartition("/")[2]
        return f"{'node' if module in SHARED else module} {suite_of(nodeid)}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByMachine:
    """Share the work between processes by machines."""
    return ByMachine(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out on the newer Debian what is proved by one."""
    twice = [item for item in items if item.get_closest_marker("one_debian") and suite_of(item.nodeid) == SUITES[1]]
    if twice:
        config.hook.pytest_deselected(items=twice)
        items[:] = [item for item in items if item not in twice]


def suite_of(nodeid: str) -> str:
    """Return the Debian whose machine a test is for, empty where it is for no certain one."""
    return next((suite for suite in SUITES if suite in nodeid.partition("[")[2]), "")


@pytest.fixture(scope="session", autouse=True)
def _no_abandoned_machines() -> None:
    """Remove what a run that was killed has left on this host."""
    if not systemd_machine.missing():
        systemd_machine.remove_abandoned()


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of what is being tested."""
    return build(version_of(), EPOCH, tmp_path_factory.mktemp("package"), architecture())


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A control plane that serves."""
    server = make_server(tmp_path_factory.mktemp("plane") / "data")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session", params=SUITES)
def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, package: Path
) -> Iterator[AgentNode]:
    """A machine with the agent, its units, and a helper whose socket listens."""
    need_machines()
    cache = cache_dir(dict(os.environ))
    home = tmp_path_factory.mktemp(request.param)
    binds = {prepared_image(cache): GUEST_IMAGE, ROOT / "nanny_ops": f"{CODE}/nanny_ops"}
    with SystemdMachine(machine_image(cache, request.param), home, binds=binds) as machine:
        made = AgentNode(machine, package, home)
        made.install()
        yield made
