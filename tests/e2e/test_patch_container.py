"""Patch orders in a real container: what a dry run says and leaves alone, what an apply does, and who may read it."""

import re
import time
from typing import Any

import pytest

from nanny_ops.lab.apt_repository import INSTALLED, OFFERED
from nanny_ops.lab.deb import Deb
from nanny_ops.lab.file_tree import differences, snapshot
from tests.e2e.site import Site

pytestmark = pytest.mark.lxc

#: Paths that a dry run may change. There is none: the script refreshes its indexes in a folder of its own below
#: /var/tmp, which it removes; /proc, /sys, /dev and /run are mounts and no part of the container's own file system;
#: a directory's time, which the comings and goings in /var/tmp change, is not compared.
VOLATILE: tuple[str, ...] = ()
UPGRADABLE = re.compile(r"^(?P<name>\S+)/\S+ (?P<version>\S+) \S+ \[upgradable from: (?P<old>\S+)\]$", re.MULTILINE)
OLD = {deb.name: deb.version for deb in INSTALLED}
NEW = {deb.name: deb.version for deb in OFFERED}
SECURITY = {deb.name for deb in OFFERED if deb.security}
#: Seconds after which a prompt that nobody answers would still be waiting.
NO_PROMPT = 45

Change = tuple[str, str, str]


@pytest.fixture
def vmid(site: Site) -> int:
    """A container made anew: the old versions are installed, the new ones offered."""
    site.renew(site.post.vmid)
    return site.post.vmid


def upgradable(site: Site, vmid: int) -> set[Change]:
    """Return what apt itself says can be upgraded: name, new version, old version."""
    site.inside(vmid, "apt-get", "update")
    listed = site.inside(vmid, "apt", "list", "--upgradable").stdout.decode()
    return {(found["name"], found["version"], found["old"]) for found in UPGRADABLE.finditer(listed)}


def versions(site: Site, vmid: int) -> dict[str, str]:
    """Return what dpkg says is installed."""
    told = site.inside(vmid, "dpkg-query", "--show", "--showformat", "${Package} ${Version}\\n").stdout.decode()
    return dict(line.split(" ") for line in told.splitlines())


def changes(operation: dict[str, Any]) -> set[Change]:
    """Return what an operation reports: name, version, old version."""
    assert operation["package_count"] == len(operation["package_list"])
    return {(one["name"], one["version"], one["old_version"]) for one in operation["package_list"]}


def changed(before: dict[str, str], after: dict[str, str]) -> set[Change]:
    """Return what is another version than before; nothing may have come or gone."""
    assert before.keys() == after.keys()
    return {(name, after[name], old) for name, old in before.items() if after[name] != old}


def assert_ok(operation: dict[str, Any]) -> None:
    """Check that an operation ended well."""
    assert (operation["status"], operation["outcome"]) == ("completed", "ok"), operation


@pytest.mark.rows("G0-PT-03")
def test_the_pending_list_is_what_apt_lists(site: Site, vmid: int) -> None:
    # Offered after the container last refreshed its indexes, so only a fresh look can know it.
    site.lab.repository(vmid).add(Deb("nanny-demo-web", "1.2-1", depends="nanny-demo-lib"))
    operation = site.carry_out(mode="dry-run")
    assert_ok(operation)
    listed = upgradable(site, vmid)
    assert ("nanny-demo-web", "1.2-1", "1.0-1") in listed
    assert changes(operation) == listed
    assert {one["name"] for one in operation["package_list"] if one["security"]} == SECURITY


@pytest.mark.rows("G0-PT-03")
@pytest.mark.parametrize("cold", [False, True], ids=["apt was used before", "apt was never used"])
def test_a_dry_run_leaves_every_file_as_it_is(site: Site, vmid: int, cold: bool) -> None:
    if cold:
        site.inside(vmid, "sh", "-c", "rm -rf /var/lib/apt/lists/* /var/cache/apt/*")
    before = snapshot(site.container(vmid).rootfs, without=VOLATILE)
    operation = site.carry_out(mode="dry-run")
    after = snapshot(site.container(vmid).rootfs, without=VOLATILE)
    assert_ok(operation)
    assert len(before) > 1000, "the container's files were not found"
    assert differences(before, after) == []
    assert {name for name, _, _ in changes(operation)} == set(NEW)


@pytest.mark.rows("G0-PT-01", "G0-PT-04")
def test_an_apply_upgrades_exactly_what_it_reports(site: Site, vmid: int) -> None:
    before = versions(site, vmid)
    operation = site.carry_out()
    after = versions(site, vmid)
    assert_ok(operation)
    assert changes(operation) == changed(before, after) == {(name, new, OLD[name]) for name, new in NEW.items()}
    assert {one["action"] for one in operation["package_list"]} == {"upgrade"}
    assert operation["delivered_at"] <= operation["started_at"] <= operation["finished_at"]
    assert operation["target"] == f"lxc:{vmid}"
    again = site.carry_out()
    assert (again["status"], again["outcome"], again["package_list"]) == ("completed", "nothing_to_do", [])
    assert site.carry_out(mode="dry-run")["outcome"] == "nothing_to_do"
    assert site.container(vmid).rootfs.joinpath("usr/share/nanny-demo-web/index.html").read_text() == "<p>two</p>\n"


@pytest.mark.rows("G0-PT-01")
@pytest.mark.parametrize("written", ["lxc-{}", "lxc/{}", "{}"])
def test_a_container_may_be_written_in_three_ways(site: Site, written: str) -> None:
    script = site.upload("#!/bin/sh\ncat /etc/hostname\necho '[]'\n")
    vmid = site.post.vmid
    operation = site.carry_out(vmid="", lxc_id=written.format(vmid), script_id=script)
    assert operation["outcome"] == "nothing_to_do", operation
    assert (operation["lxc_id"], operation["vmid"]) == (f"lxc-{vmid}", str(vmid))
    assert site.output(operation).splitlines()[0] == site.lab.cluster.guests[vmid].name


def test_an_excluded_package_stays(site: Site, vmid: int) -> None:
    before = versions(site, vmid)
    excluded = ["nanny-demo-lib", "nanny-demo-tls"]
    planned = site.carry_out(mode="dry-run", exclude=excluded)
    operation = site.carry_out(exclude=excluded)
    assert_ok(operation)
    reported = changes(operation)
    assert reported == changes(planned) == changed(before, versions(site, vmid))
    assert {name for name, _, _ in reported} == set(NEW) - set(excluded)
    # An exclusion is no hold: nothing of it stays behind.
    assert site.inside(vmid, "apt-mark", "showhold").stdout == b""
    assert {name for name, _, _ in upgradable(site, vmid)} == set(excluded)


def test_only_restricts_to_what_is_named(site: Site, vmid: int) -> None:
    before = versions(site, vmid)
    operation = site.carry_out(only=["nanny-demo-lib"])
    assert_ok(operation)
    assert changes(operation) == changed(before, versions(site, vmid)) == {("nanny-demo-lib", "2.5-1", "2.4-1")}


def test_security_only_takes_what_the_security_suite_offers(site: Site, vmid: int) -> None:
    before = versions(site, vmid)
    operation = site.carry_out(security_only=True)
    assert_ok(operation)
    assert changes(operation) == changed(before, versions(site, vmid))
    assert {one["name"]: one["security"] for one in operation["package_list"]} == dict.fromkeys(SECURITY, True)


def test_a_changed_conffile_is_kept_and_nobody_is_asked(site: Site, vmid: int) -> None:
    conffile = site.container(vmid).rootfs / "etc/nanny-demo.conf"
    conffile.write_text("greeting = mine\n")
    began = time.monotonic()
    operation = site.carry_out(only=["nanny-demo-conf"])
    assert time.monotonic() - began < NO_PROMPT
    assert_ok(operation)
    assert versions(site, vmid)["nanny-demo-conf"] == NEW["nanny-demo-conf"]
    assert conffile.read_text() == "greeting = mine\n"
    assert conffile.with_name("nanny-demo.conf.dpkg-dist").read_text() == "greeting = welcome\n"


def test_one_question_finds_what_is_below_a_version(site: Site, vmid: int) -> None:
    def found() -> list[tuple[str, str]]:
        rows = site.rows("/api/packages", name="nanny-demo-tls", below=NEW["nanny-demo-tls"])
        return [(row["target"], row["installed"]) for row in rows]

    assert_ok(site.carry_out(mode="dry-run"))
    assert found() == [(f"lxc:{vmid}", OLD["nanny-demo-tls"])]
    assert_ok(site.carry_out())
    assert found() == []
    rows = site.rows("/api/packages", name="nanny-demo-tls")
    assert [(row["target"], row["installed"]) for row in rows] == [(f"lxc:{vmid}", NEW["nanny-demo-tls"])]


def test_outputs_are_for_those_who_may_order(site: Site) -> None:
    script = site.upload("#!/bin/sh\necho said aloud\necho said aside >&2\necho '[]'\n")
    operation = site.carry_out(script_id=script)
    assert site.output(operation) == "said aloud\n[]\n"
    assert site.output(operation, "stderr") == "said aside\n"
    for stream in ("stdout", "stderr"):
        assert site.people["viewer"].get(f"/api/patches/{operation['id']}/{stream}").status_code == 403
    assert site.people["viewer"].get(f"/api/patches/{operation['id']}").status_code == 200
    wish = {"agent_id": site.post.agent.id, "mode": "dry-run"}
    assert site.people["viewer"].post("/api/patches", json=wish).status_code == 403
