"""An installation that is closed, even in the middle of its work, leaves no process, container or directory."""

import tempfile
from pathlib import Path

import pytest

from nanny_ops.lab import leftover, lxc
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import Lab
from tests.e2e.agent_process import processes_naming
from tests.e2e.site import Site, until

pytestmark = pytest.mark.lxc


def test_closing_leaves_nothing(tmp_path: Path) -> None:
    if missing := lxc.missing():
        pytest.skip(" ".join(missing))
    with Lab(LabPlan(nodes=1, guests=3, real=1), tmp_path / "lab", refusal_delay=0) as lab:
        site = Site(lab, tmp_path / "site", lab.nodes)
        try:
            site.open()
            site.order(script_id=site.upload("#!/bin/sh\nsleep 6543210 &\nsleep 6543211\n"))
            until(lambda: processes_naming("6543211"), "the script runs")
            at_work = processes_naming(str(tmp_path))
        finally:
            site.close()
        simulated = (lab.home / "simulated").resolve()
        assert simulated.is_dir()
        assert len(at_work) >= 4, "control plane, agent, supervisor and container were not found"
        assert processes_naming(str(site.directory)) == [], "closing a site leaves no process of it"
    assert processes_naming("654321") == []
    assert processes_naming(str(tmp_path)) == []
    assert processes_naming(lab.prefix) == []
    assert not lab.home.exists()
    assert not simulated.exists()
    assert lab.lab_id not in {record.lab_id for record in leftover.records(lab.cache)}
    assert not [path for path in Path(tempfile.gettempdir()).iterdir() if lab.prefix in path.name]
