"""What differs between releases: privileges, and what they call themselves."""

import pytest

from nanny_ops.lab.pve.shape.version import VERSIONS, version
from nanny_ops.lab.pve.state.role import built_in


@pytest.mark.rows("PVE-14")
def test_nine_has_no_monitor() -> None:
    eight, nine = built_in("8.4")["Administrator"], built_in("9.2")["Administrator"]
    assert eight - nine == {"VM.Monitor"}
    assert {name.rpartition(".")[2] for name in nine - eight if "Agent" in name} == {
        "Audit",
        "FileRead",
        "FileSystemMgmt",
        "FileWrite",
        "Unrestricted",
    }
    assert (len(eight), len(nine)) == (42, 47)


def test_the_version_is_that_of_its_release() -> None:
    assert all(version(release)["version"] == number for release, (number, _repoid) in VERSIONS.items())
