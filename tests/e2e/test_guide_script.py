"""The guide's own kind of script, uploaded by an operator, runs in a real container as it is."""

import hashlib
from pathlib import Path

import pytest

from tests.e2e.site import Site

pytestmark = pytest.mark.lxc

SAMPLE = Path(__file__).parent / "data" / "guide_sample.sh"
LISTED = {"name": "nanny-demo-web", "version": "1.1-1", "old_version": "1.0-1", "action": "upgrade"}


def installed(site: Site) -> str:
    """Return which version of the sample's package is there."""
    asked = ["dpkg-query", "--show", "--showformat", "${Version}", "nanny-demo-web"]
    return site.inside(site.post.vmid, *asked).stdout.decode()


@pytest.mark.rows("G0-PT-07", "G0-PT-03", "G0-PT-04")
def test_the_sample_runs_unchanged(site: Site) -> None:
    # It needs bash by its first line and by "pipefail", which this container's sh does not have.
    assert site.inside(site.post.vmid, "sh", "-c", "set -o pipefail", check=False).exit_code != 0
    script = site.upload(SAMPLE.read_text())
    digest = site.operator.get(f"/api/patches/{script}/sha256").json()["sha256"]
    assert digest == hashlib.sha256(SAMPLE.read_bytes()).hexdigest()

    site.renew(site.post.vmid)
    planned = site.carry_out(mode="dry-run", script_id=script)
    assert (planned["outcome"], installed(site)) == ("ok", "1.0-1"), planned
    assert site.output(planned).startswith("DRY RUN: nanny-demo-web would be upgraded\n")

    applied = site.carry_out(mode="apply", script_id=script)
    assert (applied["outcome"], installed(site)) == ("ok", "1.1-1"), applied
    assert "DRY RUN" not in site.output(applied)
    for operation in (planned, applied):
        (package,) = operation["package_list"]
        assert {key: package[key] for key in LISTED} == LISTED
        assert operation["exit_code"] == 0
