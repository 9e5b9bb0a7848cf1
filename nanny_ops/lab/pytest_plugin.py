"""Labs for other projects' tests: ``pytest_plugins = ["nanny_ops.lab.pytest_plugin"]`` in their ``conftest.py``.

The labs' containers are simulated, so neither root nor LXC is needed. All are closed when the run ends.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import Lab

#: Seconds before a 401; the real three would only make tests slow.
REFUSAL_DELAY = 0.05


class MakeLab(Protocol):
    """Opens labs."""

    def __call__(
        self, *faults: str, nodes: int = 3, guests: int = 12, version: str = "8.4", seed: int = 1, real: int = 0
    ) -> Lab:
        """Open one; ``faults`` by the words of ``nanny-ops lab up --fault``. Raises SettingsError, MachineError."""


@pytest.fixture(scope="session")
def make_proxmox_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeLab]:
    """Return what opens a lab of one's own; open few, each costs some tenths of a second."""
    cache = tmp_path_factory.mktemp("proxmox-lab-cache")
    with ExitStack() as opened:

        def make(
            *faults: str, nodes: int = 3, guests: int = 12, version: str = "8.4", seed: int = 1, real: int = 0
        ) -> Lab:
            plan = LabPlan(nodes, guests, real, version, seed)
            directory = tmp_path_factory.mktemp("proxmox-lab")
            lab = Lab(plan, directory, cache=cache, refusal_delay=REFUSAL_DELAY)
            opened.enter_context(lab)
            lab.cause(*faults)
            return lab

        yield make


@pytest.fixture(scope="session")
def proxmox_lab(make_proxmox_lab: MakeLab) -> Lab:
    """Return a lab of three nodes and twelve guests, Proxmox VE 8.4, shared by all tests of the run."""
    return make_proxmox_lab()
