"""The tuple of package managers agrees with the folder of scripts."""

import pytest

from nanny_ops.machine.packages import apt
from nanny_ops.machine.packages.catalogue import LEAVES, for_distribution
from nanny_ops.patch_scripts.assembled import scripts


def test_every_leaf_has_its_script_and_every_script_its_leaf():
    assert {leaf.script for leaf in LEAVES} == set(scripts())


def test_names_are_unique():
    assert len({leaf.name for leaf in LEAVES}) == len(LEAVES)


@pytest.mark.parametrize(
    ("identity", "like"), [("debian", ""), ("ubuntu", "debian"), ("trisquel", "ubuntu debian"), ("neon", "ubuntu")]
)
def test_debian_and_its_children_use_apt(identity, like):
    assert for_distribution(identity, like) is apt.LEAF


def test_an_unknown_distribution_has_none():
    assert for_distribution("plan9", "") is None
