"""The scripts of dnf, zypper and pacman with the real programs, in real containers, on repositories of the lab's own.

What is proved here is the manager, not a distribution: the containers are Debian with another name. ``./run test e2e -k
patch`` is the matrix; what it proves stands in tests/recorded/support.json, from which docs/patching.md has its table.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.manager_image import manager_image
from nanny_ops.lab.tree import tree_hash
from nanny_ops.lab.ware import INSTALLED, Ware
from tests.e2e.foreign import MANAGERS, Foreign, Manager
from tests.lab_fixtures import need_real_containers

pytestmark = pytest.mark.lxc

Make = Callable[[Manager], Foreign]
#: The shell that runs a manager's script here; each of the three has its turn.
SHELLS = {"dnf": "bash", "zypper": "dash", "pacman": "busybox ash"}
EACH = pytest.mark.parametrize("manager", MANAGERS, ids=lambda manager: manager.name)
#: What a whole upgrade changes.
ALL = {
    "nanny-lib": ("1.0-1", "2.0-1"),
    "nanny-new": ("", "1.0-1"),
    "nanny-tls": ("1.0-1", "1.1-1"),
    "nanny-web": ("1.0-1", "2.0-1"),
}
SUPPORT = Path(__file__).parents[1] / "recorded/support.json"


@pytest.fixture
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Return a maker of containers, which all end with the test."""
    need_real_containers()
    place = tmp_path_factory.mktemp("lxc")
    image = manager_image(cache_dir(dict(os.environ)))
    made: list[Foreign] = []

    def one(manager: Manager) -> Foreign:
        made.append(Foreign(place, f"{manager.name}{len(made)}", image, manager, SHELLS[manager.name]))
        return made[-1]

    yield one
    for foreign in made:
        foreign.container.destroy()


@EACH
def test_a_dry_run_lists_everything_and_changes_nothing(make: Make, manager: Manager) -> None:
    foreign = make(manager)
    root = foreign.container.rootfs
    volatile = ("proc", "sys", "dev", "run", *manager.volatile)
    before = tree_hash(root, volatile)
    said = foreign.patch("--dry-run")
    after = tree_hash(root, volatile)
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == set()
    assert (said.code, said.changes) == (0, ALL), said.stdout
    assert {one["repository"] for one in said.packages} == {"lab"}
    security = {one["name"]: one["security"] for one in said.packages}
    tls = {name: name == "nanny-tls" for name in ALL}
    assert security == (tls if manager.security else dict.fromkeys(ALL))
    assert said.left == ({"nanny-stuck": "kept_back"} if manager.stuck else {})
    if manager.name == "zypper":  # its index is packed in a way that this container cannot unpack
        assert {one["size"] for one in said.packages} == {None}
        foreign.shell("rm -r /srv/rpm/repodata; createrepo_c -q --general-compress-type=gz /srv/rpm")
        said = foreign.patch("--dry-run")
    assert all((one["size"] or 0) > 300 for one in said.packages), said.packages


@EACH
def test_a_dry_run_with_every_option_changes_nothing(make: Make, manager: Manager) -> None:
    foreign = make(manager)
    foreign.shell(f"{manager.unneeded}; rpm -e nanny-stuck; echo mine >>{manager.config}")
    root = foreign.container.rootfs
    volatile = ("proc", "sys", "dev", "run", *manager.volatile)
    before = tree_hash(root, volatile)
    common = ["--dry-run", "--conffiles=hold-back", "--exclude=nanny-web", "--lock-timeout=9", "--repair", "--verbose"]
    whole = foreign.patch(*common, "--dist-upgrade", "--autoremove")
    assert (whole.code, whole.changes) == (0, {"nanny-tls": ("1.0-1", "")}), whole.stdout
    assert whole.left["nanny-lib"] == "conffile"
    some = foreign.patch(*common, "--only=nanny-tls", "--security-only")
    assert (some.code, some.changes) == ((0, {"nanny-tls": ("1.0-1", "1.1-1")}) if manager.security else (2, {}))
    after = tree_hash(root, volatile)
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == set()


@EACH
@pytest.mark.rows("C1", "F1")
def test_what_a_dry_run_listed_is_what_is_done(make: Make, manager: Manager) -> None:
    foreign = make(manager)
    foreign.shell(f"echo mine >>{manager.config}")
    if manager.name != "pacman":
        foreign.shell("setsid nanny-web-nap 99 </dev/null >/dev/null 2>&1 &")
    listed = foreign.patch("--dry-run")
    done = foreign.patch()
    assert (done.code, done.changes) == (0, listed.changes), done.stdout
    assert foreign.versions() == {
        **{ware.name: "1.0-1" for ware in INSTALLED if ware.name == "nanny-stuck" and manager.stuck},
        **{name: new for name, (_, new) in ALL.items()},
    }
    assert done.notes.conffiles == [manager.beside]
    assert foreign.shell(f"tail -n 1 {manager.config}").stdout == b"mine\n"
    assert done.notes.reboot_required is False
    assert (done.notes.kernel_running, done.notes.kernel_newest) == ("", "")
    if manager.name != "pacman":
        assert done.notes.services == ["nanny-web-nap"]
    again = foreign.patch()
    assert (again.code, again.packages) == (0, []), again.stdout


@EACH
def test_what_nothing_needs_goes_only_where_that_is_asked_for(make: Make, manager: Manager) -> None:
    foreign = make(manager)
    foreign.shell(manager.unneeded)
    assert foreign.patch("--dry-run").changes == ALL
    stays = foreign.patch("--dry-run", "--autoremove", "--exclude=nanny-tls")
    assert "nanny-tls" not in stays.changes, stays.stdout
    listed = foreign.patch("--dry-run", "--autoremove")
    assert (listed.code, listed.changes) == (0, {**ALL, "nanny-tls": ("1.0-1", "")}), listed.stdout
    assert [one["action"] for one in listed.packages if one["name"] == "nanny-tls"] == ["remove"]
    done = foreign.patch("--autoremove")
    assert (done.code, done.changes) == (0, listed.changes), done.stdout
    assert "nanny-tls" not in foreign.versions()


@EACH
def test_an_older_version_is_taken_only_where_that_is_asked_for(make: Make, manager: Manager) -> None:
    foreign = make(manager)
    foreign.shell(f"rpm -e nanny-stuck; {manager.go_back}")
    if manager.name == "pacman":
        foreign.offer(Ware("nanny-tls", "1.0"))
    plain = foreign.patch("--dry-run")
    assert "nanny-tls" not in plain.changes, plain.stdout
    listed = foreign.patch("--dry-run", "--dist-upgrade")
    assert (listed.code, listed.changes["nanny-tls"]) == (0, ("1.1-1", "1.0-1")), listed.stdout
    done = foreign.patch("--dist-upgrade")
    assert (done.code, done.changes) == (0, listed.changes), done.stdout
    assert foreign.versions()["nanny-tls"] == "1.0-1"


@EACH
@pytest.mark.rows("C1")
def test_a_repository_that_changes_in_between_is_told_by_what_is_done(make: Make, manager: Manager) -> None:
    foreign = make(manager)
    listed = foreign.patch("--dry-run")
    assert listed.changes == ALL
    foreign.shell("mkdir /srv/away; mv /srv/arch/nanny-tls* /srv/rpm/noarch/nanny-tls* /srv/away")
    said = foreign.patch()  # an index that names what cannot be fetched
    assert (said.code, said.changes) == (100, {}), said.stdout
    assert "nanny-tls" in said.stdout
    assert foreign.versions()["nanny-lib"] == "1.0-1"
    foreign.offer(Ware("nanny-lib", "2.0"), Ware("nanny-tls", "1.2"))  # a newer one, and nanny-web has vanished
    done = foreign.patch()
    assert (done.code, done.changes) == (0, {"nanny-lib": ("1.0-1", "2.0-1"), "nanny-tls": ("1.0-1", "1.2-1")})
    assert foreign.versions()["nanny-web"] == "1.0-1"


@EACH
@pytest.mark.rows("C1", "C2")
def test_what_is_excluded_or_held_stays_and_holds_stay_too(make: Make, manager: Manager) -> None:
    foreign = make(manager)
    said = foreign.patch("--exclude=nanny-lib,libc6:i386")
    assert (said.code, set(said.changes)) == (0, {"nanny-tls"}), said.stdout
    stuck = {"nanny-stuck": "kept_back"} if manager.stuck else {}
    assert said.left == {"nanny-lib": "excluded", "nanny-web": "kept_back", **stuck}
    foreign = make(manager)
    foreign.shell(manager.hold)
    before = foreign.shell("cat /etc/pacman.conf /etc/dnf/plugins/versionlock.list /etc/zypp/locks").stdout
    said = foreign.patch()
    assert (said.code, set(said.changes)) == (0, set(ALL) - {"nanny-tls"}), said.stdout
    assert said.left == {"nanny-tls": "held", **stuck}
    assert foreign.shell("cat /etc/pacman.conf /etc/dnf/plugins/versionlock.list /etc/zypp/locks").stdout == before


@EACH
@pytest.mark.rows("F17")
def test_only_and_security_only_choose_or_say_that_they_cannot(make: Make, manager: Manager) -> None:
    foreign = make(manager)
    security = foreign.patch("--security-only")
    only = foreign.patch("--only=nanny-web,nanny-none")
    if not manager.security:
        assert (security.code, only.code) == (2, 2)
        assert "does not say which" in security.last
        assert "whole system" in only.last
        return
    assert (security.code, set(security.changes)) == (0, {"nanny-tls"}), security.stdout
    assert security.packages[0]["security"] is True
    assert (only.code, set(only.changes)) == (0, {"nanny-lib", "nanny-new", "nanny-web"}), only.stdout
    assert only.left == {"nanny-none": "not_upgradable"}
    foreign.shell("rm -rf /srv/rpm/repodata; createrepo_c -q /srv/rpm")
    unknown = foreign.patch("--dry-run", "--security-only")
    assert unknown.code == 2, unknown.stdout
    assert "none can be chosen" in unknown.last


@EACH
@pytest.mark.rows("F3")
def test_a_held_lock_is_named_and_its_holder_is_let_be(make: Make, manager: Manager) -> None:
    foreign = make(manager)
    foreign.shell(
        'printf "%s\\n" "$1" >/root/holder; setsid sh /root/holder </dev/null >/dev/null 2>&1 & sleep 0.5',
        manager.holder.format(lock=manager.lock),
    )
    said = foreign.patch("--lock-timeout=1")
    assert (said.code, said.packages, said.notes.ended) == (5, [], "blocked"), said.stdout
    assert said.notes.lock is not None
    assert said.notes.lock.name == "sleep"
    assert foreign.shell(f"kill -0 {said.notes.lock.pid}").exit_code == 0
    assert foreign.versions()["nanny-lib"] == "1.0-1"


@EACH
@pytest.mark.rows("F3")
def test_the_manager_itself_at_work_is_named_and_comes_to_its_end(make: Make, manager: Manager) -> None:
    foreign = make(manager)
    foreign.shell("touch /root/at-work")
    foreign.shell(
        'printf "%s\\n" "$1" >/root/work.sh; setsid sh /root/work.sh </dev/null >/root/said 2>&1 &', manager.at_work
    )
    taken = f"[ -s {manager.lock} ]" if manager.name != "pacman" else f"[ -e {manager.lock} ]"
    foreign.shell(f"n=0; until {taken} || [ $n -gt 300 ]; do sleep 0.1; n=$((n + 1)); done")
    said = foreign.patch("--lock-timeout=1")
    assert (said.code, said.packages, said.notes.ended) == (5, [], "blocked"), said.stdout
    assert said.notes.lock is not None
    assert said.notes.lock.name == {"zypper": "Zypp-main"}.get(manager.name, manager.name)  # as it calls itself
    assert foreign.shell(f"kill -0 {said.notes.lock.pid}").exit_code == 0
    foreign.shell("rm /root/at-work")
    done = foreign.patch("--lock-timeout=60")
    assert (done.code, done.changes) == (0, ALL), done.stdout


@EACH
@pytest.mark.rows("F4")
def test_a_transaction_that_was_cut_short_is_found_and_repaired_on_demand(make: Make, manager: Manager) -> None:
    foreign = make(manager)
    assert foreign.shell(manager.interrupt).exit_code == 0
    said = foreign.patch()
    assert (said.code, said.packages, said.notes.ended) == (6, [], "quarantined"), said.stdout
    assert said.notes.interrupted is not None
    assert "nanny-lib-1.0-1" in said.notes.interrupted.what
    assert not said.notes.interrupted.repaired
    said = foreign.patch("--repair")
    assert said.code == 0, said.stdout
    assert said.notes.interrupted is not None
    assert said.notes.interrupted.repaired
    assert foreign.versions()["nanny-lib"] == "2.0-1"
    assert foreign.patch("--dry-run").packages == []


@EACH
@pytest.mark.rows("F17")
def test_a_repository_that_does_not_answer_is_told_and_none_at_all_is_no_success(make: Make, manager: Manager) -> None:
    foreign = make(manager)
    foreign.shell(manager.dead)
    said = foreign.patch("--dry-run")
    assert (said.code, said.notes.ended, said.changes) == (4, "partial", ALL), said.stdout
    assert said.notes.not_refreshed == ["dead"]
    foreign.shell(manager.gone)
    for words in (["--dry-run"], []):
        said = foreign.patch(*words)
        assert (said.code, said.packages) == (100, []), said.stdout
        assert "could be refreshed" in said.last or "not be refreshed" in said.last


@EACH
def test_packages_with_changed_files_can_be_held_back(make: Make, manager: Manager) -> None:
    foreign = make(manager)
    foreign.shell(f"echo mine >>{manager.config}")
    said = foreign.patch("--conffiles=hold-back")
    assert (said.code, set(said.changes)) == (0, {"nanny-tls"}), said.stdout
    assert said.left["nanny-lib"] == "conffile"
    assert said.notes.conffiles == []


@EACH
@pytest.mark.rows("C2")
def test_on_another_distribution_it_ends_with_3(make: Make, manager: Manager) -> None:
    foreign = make(manager)
    foreign.shell("printf 'ID=debian\\nVERSION_ID=13\\n' >/etc/os-release")
    said = foreign.patch("--dry-run")
    assert (said.code, said.packages) == (3, [])
    assert "'debian' 13; this script is for " in said.last


def test_a_stale_lock_of_pacman_is_named_and_goes_only_on_demand(make: Make) -> None:
    foreign = make(MANAGERS[2])
    foreign.shell("touch /var/lib/pacman/db.lck")
    said = foreign.patch("--dry-run")
    assert (said.code, said.notes.ended) == (6, "quarantined")
    assert "stale lock, /var/lib/pacman/db.lck" in said.last
    assert foreign.shell("test -e /var/lib/pacman/db.lck").exit_code == 0
    said = foreign.patch("--repair")
    assert (said.code, said.changes) == (0, ALL), said.stdout
    assert foreign.shell("test -e /var/lib/pacman/db.lck").exit_code == 1


def test_a_rolling_distribution_is_upgraded_as_a_whole(make: Make) -> None:
    foreign = make(MANAGERS[1])
    foreign.shell("rpm -e nanny-stuck; sed -i 's/opensuse-leap/opensuse-tumbleweed/' /etc/os-release")
    refused = foreign.patch("--only=nanny-lib")
    assert (refused.code, refused.packages) == (2, [])
    said = foreign.patch("--dry-run")
    assert (said.code, said.changes) == (0, ALL), said.stdout


@EACH
def test_what_is_proved_stands_in_the_record(make: Make, manager: Manager) -> None:
    version = make(manager).shell(manager.version).stdout.decode().strip()
    proof = {one["manager"]: one for one in json.loads(SUPPORT.read_text())}[manager.name]
    assert (proof["proof"], proof["version"], proof["on"]) == ("manager", version.partition(".")[0], ["Debian 13"])
