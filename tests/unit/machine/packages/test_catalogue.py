"""The tuple of package managers agrees with the folder of scripts."""

from pathlib import Path

import pytest

import nanny_ops
from nanny_ops.machine.packages import apt
from nanny_ops.machine.packages.catalogue import LEAVES, for_distribution

SCRIPTS = Path(nanny_ops.__file__).parent / "patch_scripts"


def test_every_leaf_has_its_script_and_every_script_its_leaf():
    assert {leaf.script for leaf in LEAVES} == {path.name for path in SCRIPTS.glob("*.sh")}


def test_names_are_unique():
    assert len({leaf.name for leaf in LEAVES}) == len(LEAVES)


@pytest.mark.parametrize(
    ("identity", "like"), [("debian", ""), ("ubuntu", "debian"), ("trisquel", "ubuntu debian"), ("neon", "ubuntu")]
)
def test_debian_and_its_children_use_apt(identity, like):
    assert for_distribution(identity, like) is apt.LEAF


def test_an_unknown_distribution_has_none():
    assert for_distribution("plan9", "") is None
