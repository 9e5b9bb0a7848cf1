"""The script of apk under busybox ash in a real container, against a stand-in for a program that Debian lacks."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.manager_image import manager_image
from nanny_ops.lab.tree import tree_hash
from tests.e2e.foreign import APK, Foreign
from tests.lab_fixtures import need_real_containers

pytestmark = pytest.mark.lxc

ALL = {
    "nanny-lib": ("1.0-r0", "2.0-r0"),
    "nanny-new": ("", "1.0-r0"),
    "nanny-tls": ("1.0-r0", "1.1-r0"),
    "nanny-web": ("1.0-r0", "2.0-r0"),
}


@pytest.fixture
def alpine(tmp_path: Path) -> Iterator[Foreign]:
    need_real_containers()
    foreign = Foreign(tmp_path, "apk", manager_image(cache_dir(dict(os.environ))), APK, "busybox ash")
    foreign.stand_in_for_apk()
    yield foreign
    foreign.container.destroy()


@pytest.mark.rows("C1", "C2")
def test_a_dry_run_changes_nothing_and_a_run_does_what_it_listed(alpine: Foreign) -> None:
    root = alpine.container.rootfs
    volatile = ("proc", "sys", "dev", "run")
    before = tree_hash(root, volatile)
    options = ["--exclude=nanny-web", "--dist-upgrade", "--autoremove", "--repair", "--lock-timeout=9", "--verbose"]
    assert set(alpine.patch("--dry-run", *options).changes) == {"nanny-lib", "nanny-tls"}
    assert alpine.patch("--dry-run", "--only=nanny-tls").changes == {"nanny-tls": ("1.0-r0", "1.1-r0")}
    for word in ("--security-only", "--conffiles=hold-back"):  # of which apk knows nothing
        assert alpine.patch("--dry-run", word).code == 2
    listed = alpine.patch("--dry-run")
    assert tree_hash(root, volatile) == before
    assert (listed.code, listed.changes) == (0, ALL), listed.stdout
    assert {(one["security"], one["size"], one["repository"]) for one in listed.packages} == {(None, 5000, "/srv/apk")}
    alpine.shell(f"echo mine >>{APK.config}")
    done = alpine.patch()
    assert (done.code, done.changes) == (0, listed.changes), done.stdout
    assert alpine.versions() == {name: new for name, (_, new) in ALL.items()}
    assert done.notes.conffiles == [APK.beside]
    assert done.notes.reboot_required is False
    assert alpine.patch().packages == []


@pytest.mark.rows("C1", "F3", "F4", "F17")
def test_what_hinders_is_told(alpine: Foreign) -> None:
    said = alpine.patch("--dry-run", "--exclude=nanny-web")
    assert (set(said.changes), said.left) == ({"nanny-lib", "nanny-tls"}, {"nanny-web": "excluded"})
    assert set(alpine.patch("--dry-run", "--only=nanny-tls").changes) == {"nanny-tls"}
    alpine.shell(
        'printf "%s\\n" "$1" >/root/holder; setsid sh /root/holder </dev/null >/dev/null 2>&1 & sleep 0.5',
        APK.holder.format(lock=APK.lock),
    )
    said = alpine.patch("--lock-timeout=1")
    assert (said.code, said.notes.ended) == (5, "blocked"), said.stdout
    assert said.notes.lock is not None
    assert said.notes.lock.name == "sleep"
    assert alpine.shell(f"kill {said.notes.lock.pid}").exit_code == 0
    alpine.shell(APK.dead)
    said = alpine.patch("--dry-run")
    assert (said.code, said.notes.not_refreshed, said.changes) == (4, ["/srv/dead"], ALL), said.stdout
    alpine.shell("echo /srv/apk >/etc/apk/repositories")
    alpine.shell(APK.interrupt)
    said = alpine.patch()
    assert (said.code, said.notes.ended) == (6, "quarantined")
    alpine.shell(APK.hold)
    said = alpine.patch("--repair")
    assert (said.code, said.left) == (0, {"nanny-tls": "held"}), said.stdout
    alpine.shell(APK.gone)
    assert alpine.patch("--dry-run").code == 100
