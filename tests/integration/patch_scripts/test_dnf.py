"""The dnf script on recorded words of dnf5, which no Debian suite has; dnf 4 is driven for real elsewhere."""

from pathlib import Path

import pytest

from tests.integration.patch_scripts.replay import System, compare, told

GOLDEN = Path(__file__).parents[2] / "golden/packages/dnf5-5.2"
SHELLS = [["busybox", "ash"], ["dash"], ["bash"]]


@pytest.fixture
def fedora(tmp_path):
    system = System(tmp_path, GOLDEN, ("dnf5", "rpm", "uname"))
    (system.bin / "dnf").symlink_to("dnf5")
    (system.bin / "uname").write_text('#!/bin/sh\n[ "$1" = -r ] && echo 6.14.0-63.fc42.x86_64 || echo x86_64\n')
    (system.root / "etc/dnf").mkdir()
    (system.root / "etc/dnf/versionlock.toml").write_text('version = "1.0"\n[[packages]]\nname = "tmux"\n')
    return system


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[-1])
def test_a_dry_run_under_each_shell(fedora, shell):
    done = fedora.patch(shell, "dnf", "--dry-run")
    compare(GOLDEN / "dry-run.json", done)
    calls = [call for call in fedora.calls if "--nobest" in call]
    assert calls
    assert all("--setopt=cachedir=" in call and "exit_on_lock" not in call for call in calls)


@pytest.mark.rows("C1")
def test_security_updates_are_named_with_their_versions(fedora):
    done = fedora.patch(["dash"], "dnf", "--dry-run", "--security-only")
    assert {one["name"]: one["security"] for one in told(done)["packages"]} == {"curl": True, "libcurl": True}
    words = [call for call in fedora.calls if "--assumeno upgrade" in call][-1].split()
    assert words[-2:] == ["curl-0:8.11.1-5.fc42", "libcurl-0:8.11.1-5.fc42"]


@pytest.mark.rows("C2")
@pytest.mark.parametrize(
    "release", ["ID=centos\nVERSION_ID=7\n", "ID=rhel\nVERSION_ID=7.9\n", "ID=amzn\nVERSION_ID=2\n"]
)
def test_the_generation_before_dnf_is_told_so(fedora, release):
    (fedora.root / "etc/os-release").write_text(release)
    done = fedora.patch(["dash"], "dnf", "--dry-run")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (3, b"[]")
    assert b"this script is for Fedora" in done.stderr
