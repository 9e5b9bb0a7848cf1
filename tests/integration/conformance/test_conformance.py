"""Every recorded request is made to the lab, with the recorded names and with others."""

import os
import sys
from pathlib import Path

import pytest

from tests.integration.conformance.naming import CHANGED, RECORDED, Naming
from tests.integration.conformance.replay import replay

#: Recordings whose answer must be equal; raise them with what becomes equal.
FLOORS = {"8.4": 522, "9.2": 294}


@pytest.mark.parametrize("naming", [RECORDED, CHANGED], ids=["as recorded", "renamed and changed"])
@pytest.mark.parametrize("release", ["8.4", "9.2"])
def test_answers_are_like_the_recorded_ones(release: str, naming: Naming, capsys: pytest.CaptureFixture[str]) -> None:
    coverage = replay(release, naming)
    with capsys.disabled():
        sys.stdout.write(f"\nProxmox VE {release}: {coverage.summary()}\n")
    if directory := os.environ.get("CONFORMANCE_REPORT"):
        run = "recorded" if naming is RECORDED else "changed"
        Path(directory, f"conformance-{release}-{run}.txt").write_text(coverage.told())
    assert len(coverage.equal) >= FLOORS[release], coverage.told()
