"""The yum script on words of yum 3 in their public form: no Debian suite has the program."""

import json
from pathlib import Path

import pytest

from tests.integration.patch_scripts.replay import System, compare, told

GOLDEN = Path(__file__).parents[2] / "golden/packages/yum-3.4"
SHELLS = [["busybox", "ash"], ["dash"], ["bash"]]


@pytest.fixture
def centos(tmp_path):
    system = System(tmp_path, GOLDEN, ("yum", "rpm", "needs-restarting", "uname"))
    (system.bin / "uname").write_text('#!/bin/sh\n[ "$1" = -r ] && echo 3.10.0-1160.el7.x86_64 || echo x86_64\n')
    (system.root / "etc/yum/pluginconf.d").mkdir(parents=True)
    (system.root / "etc/yum/pluginconf.d/versionlock.list").write_text("0:systemd-219-78.el7.*\n")
    return system


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[-1])
def test_a_dry_run_under_each_shell(centos, shell):
    done = centos.patch(shell, "yum", "--dry-run")
    compare(GOLDEN / "dry-run.json", done)
    assert all("--setopt=cachedir=" in call for call in centos.calls if "exit_on_lock" in call)


@pytest.mark.rows("C1")
def test_what_was_chosen_is_named_with_its_version(centos):
    done = centos.patch(["dash"], "yum", "--dry-run", "--only=bind-license")
    assert {one["name"] for one in told(done)["packages"]} == {"bind-license", "bind-libs-lite"}


def test_only_what_a_restart_mends_counts_as_a_reason_in_a_container(centos):
    done = centos.patch(["dash"], "yum", "--dry-run")
    lines = [line for line in done.stdout.decode().splitlines() if '"kind":"reboot"' in line]
    told_of = json.loads(lines[0].removeprefix("nanny-note "))
    assert told_of["required"] is True
    assert "systemd" in told_of["why"]


@pytest.mark.rows("F17")
def test_a_distribution_without_advisories_cannot_choose_by_them(centos):
    done = centos.patch(["dash"], "yum", "--dry-run", "--security-only")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (2, b"[]")
    assert b"none can be chosen" in done.stderr


@pytest.mark.rows("F4")
def test_a_transaction_that_yum_did_not_finish_is_found(centos):
    (centos.root / "var/lib/yum").mkdir(parents=True)
    (centos.root / "var/lib/yum/transaction-all.2026-01-02.03:04.05").touch()
    assert told(centos.patch(["dash"], "yum", "--dry-run"))["code"] == 6


@pytest.mark.rows("C2")
def test_a_later_generation_is_told_so(centos):
    (centos.root / "etc/os-release").write_text('ID="centos"\nVERSION_ID="9"\n')
    assert told(centos.patch(["dash"], "yum", "--dry-run"))["code"] == 3
