"""Who a machine is, from its files."""

import os

import pytest

from nanny_ops.machine.host import describe, family, is_proxmox, os_release

UBUNTU = 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n# a comment\n\nBAD\nQUOTE="\n'
UNAME = os.uname_result(("Linux", "prod-web-01", "5.15.0-56-generic", "#1", "x86_64"))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(UBUNTU)
    (tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("b-1\n")
    return tmp_path


def test_everything_at_once(root):
    facts = describe({"eth0": ["10.0.1.5"]}, root, UNAME)
    assert (facts.hostname, facts.platform, facts.platform_family) == ("prod-web-01", "ubuntu", "debian")
    assert (facts.platform_version, facts.kernel_version, facts.kernel_arch) == ("22.04", "5.15.0-56-generic", "x86_64")
    assert (facts.os_type, facts.primary_ip, facts.all_ips) == ("linux", "10.0.1.5", ["10.0.1.5"])
    assert (facts.boot_id, facts.proxmox) == ("b-1", False)


def test_a_machine_without_any_file(tmp_path):
    facts = describe({}, tmp_path, UNAME)
    assert (facts.platform, facts.platform_family, facts.boot_id, facts.primary_ip) == ("linux", "", "", "")


def test_the_second_place_of_os_release(tmp_path):
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/os-release").write_text("ID=alpine\n")
    assert os_release(tmp_path) == {"ID": "alpine"}


@pytest.mark.parametrize(
    ("identity", "like", "expected"),
    [
        ("debian", "", "debian"),
        ("rocky", "rhel centos fedora", "rhel"),
        ("fedora", "", "fedora"),
        ("opensuse-leap", "suse opensuse", "suse"),
        ("alpine", "", "alpine"),
        ("arch", "", "arch"),
        ("plan9", "", "plan9"),
    ],
)
def test_families(identity, like, expected):
    assert family({"ID": identity, "ID_LIKE": like}) == expected


@pytest.mark.parametrize("place", ["usr/sbin/pct", "usr/bin/pct"])
def test_a_node_has_pct_and_the_clusters_files(root, place):
    (root / place).parent.mkdir(parents=True)
    (root / place).touch()
    assert not is_proxmox(root)
    (root / "etc/pve").mkdir()
    assert is_proxmox(root)
