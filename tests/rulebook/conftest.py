"""An installation in real processes with one real container, whose patches the rulebooks follow."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nanny_ops.lab import lxc
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import Lab
from tests.e2e.site import Site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A control plane and an agent on a node with a container; skips where those are not possible, not with CI=true."""
    if missing := lxc.missing():
        pytest.skip(" ".join(missing))
    home: Path = tmp_path_factory.mktemp("rulebook")
    with Lab(LabPlan(nodes=1, guests=1, real=1), home / "lab", refusal_delay=0) as lab:
        made = Site(lab, home / "site", lab.nodes)
        try:
            made.open()
            yield made
        finally:
            made.close()
