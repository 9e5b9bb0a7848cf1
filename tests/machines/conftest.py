"""Machines on which the agent is installed: one for each Debian, shared by all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanny_ops.lab import systemd_machine
from nanny_ops.lab.demo_guest import prepared_image
from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.systemd_machine import SystemdMachine
from release.package import build
from release.source import version_of
from release.wheel import architecture
from tests.house.tree import ROOT
from tests.machines.agent_node import CODE, GUEST_IMAGE, AgentNode

SUITES = ("bookworm", "trixie")
#: When the package was made, in seconds of the epoch; any time will do.
EPOCH = 1_760_000_000


def need_machines() -> None:
    """Skip where no machine can boot; with CI=true that is a failure."""
    if missing := systemd_machine.missing():
        reason = " ".join(missing)
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the machines of one Debian be in one process, so that two processes share the work."""
    for item in items:
        found = [suite for suite in SUITES if f"[{suite}" in item.nodeid or f"-{suite}" in item.nodeid]
        if found and "tests/machines" in item.nodeid:
            item.add_marker(pytest.mark.xdist_group(found[0]))


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of what is being tested."""
    return build(version_of(), EPOCH, tmp_path_factory.mktemp("package"), architecture())


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
