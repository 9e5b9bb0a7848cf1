"""The tuple of package managers agrees with the folder of scripts."""

import pytest

from nanny_ops.control.services.script import FAMILIES
from nanny_ops.machine.packages import apt
from nanny_ops.machine.packages.catalogue import LEAVES, for_distribution
from nanny_ops.patch_scripts.assembled import scripts


def test_every_leaf_has_its_script_and_every_script_its_leaf():
    assert {leaf.script for leaf in LEAVES} == set(scripts())


def test_the_control_plane_chooses_by_the_same_words():
    assert {name: frozenset(words) for name, words in FAMILIES.items()} == {
        leaf.name: leaf.distributions for leaf in LEAVES
    }


def test_names_are_unique():
    assert len({leaf.name for leaf in LEAVES}) == len(LEAVES)


@pytest.mark.parametrize(
    ("identity", "like"), [("debian", ""), ("ubuntu", "debian"), ("trisquel", "ubuntu debian"), ("neon", "ubuntu")]
)
def test_debian_and_its_children_use_apt(identity, like):
    assert for_distribution(identity, like) is apt.LEAF


@pytest.mark.parametrize(
    ("identity", "like", "version", "name"),
    [
        ("centos", "rhel fedora", "7", "yum"),
        ("centos", "rhel fedora", "9", "dnf"),
        ("rhel", "fedora", "7.9", "yum"),
        ("rocky", "rhel centos fedora", "8.10", "dnf"),
        ("oddity", "fedora", "7", "dnf"),
        ("opensuse-leap", "suse opensuse", "15.6", "zypper"),
        ("garuda", "arch", "", "pacman"),
        ("alpine", "", "3.20.1", "apk"),
    ],
)
def test_the_version_decides_where_a_distribution_has_changed_over(identity, like, version, name):
    leaf = for_distribution(identity, like, version)
    assert leaf is not None
    assert leaf.name == name


def test_an_unknown_distribution_has_none():
    assert for_distribution("plan9", "") is None
