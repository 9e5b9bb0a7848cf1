"""Scripts: which fits a target, and that an id names one content."""

from datetime import datetime

import pytest

from nanny_ops.control.services import script as service
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import script as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.errors import NoScriptForTarget, NotFound, ValidationFailed
from nanny_ops.patch_scripts.distribution import SERVED
from nanny_ops.protocol.patch import ScriptUpload

PERSON = Person("user-1", "op@example.com", "op", False, {teams.DEFAULT: "operator"})
UPLOAD = ScriptUpload(name="own", content="#!/bin/sh\necho '[]'\n")


def test_shipping_twice_brings_nothing_new(database: Database, now: datetime) -> None:
    for _ in range(2):
        database.write_now(lambda tx: service.ship(tx, now))
    assert len(database.read_now(store.shipped)) == len(SERVED)


@pytest.mark.parametrize("families", [["proxmox", "debian"], ["Ubuntu"], ["mine", "ubuntu debian"]])
def test_a_family_finds_its_script(database: Database, now: datetime, families: list[str]) -> None:
    database.write_now(lambda tx: service.ship(tx, now))
    assert database.read_now(lambda tx: service.for_families(tx, families)).name == "apt"


@pytest.mark.rows("C2")
@pytest.mark.parametrize(
    ("families", "name"),
    [
        (["centos:7"], "yum"),
        (["rhel:7.9"], "yum"),
        (["rhel:8.10"], "dnf"),
        (["centos"], "dnf"),
        (["rocky:9.4", "l26"], "dnf"),
        (["opensuse"], "zypper"),
        (["opensuse-tumbleweed:20261101"], "zypper"),
        (["archlinux"], "pacman"),
        (["alpine"], "apk"),
    ],
)
def test_the_version_decides_where_a_distribution_has_changed_over(
    database: Database, now: datetime, families: list[str], name: str
) -> None:
    database.write_now(lambda tx: service.ship(tx, now))
    assert database.read_now(lambda tx: service.for_families(tx, families)).name == name


@pytest.mark.parametrize("families", [["plan9"], [""], [], ["unmanaged"], ["nixos"], ["amzn:2023", "fedora"]])
def test_a_strange_family_finds_none(database: Database, now: datetime, families: list[str]) -> None:
    database.write_now(lambda tx: service.ship(tx, now))
    with pytest.raises(NoScriptForTarget):
        database.read_now(lambda tx: service.for_families(tx, families))


def test_an_added_script_is_never_chosen_by_itself(database: Database, now: datetime) -> None:
    script, new = database.write_now(lambda tx: service.add(tx, PERSON, UPLOAD, now))
    assert new
    assert (script.families, script.shipped) == ([], False)
    assert database.write_now(lambda tx: service.add(tx, PERSON, UPLOAD, now)) == (script, False)
    assert database.read_now(lambda tx: service.named(tx, script.id, [teams.DEFAULT])) == script
    with pytest.raises(NotFound):
        database.read_now(lambda tx: service.named(tx, script.id, ["team-other"]))


@pytest.mark.parametrize("content", ["echo", "#! ", "#!/bin/sh\r\n", "#!/bin/sh\n\0", "#!/bin/sh\n\udc80"])
def test_what_linux_would_not_run_is_refused(database: Database, now: datetime, content: str) -> None:
    with pytest.raises(ValidationFailed):
        database.write_now(lambda tx: service.add(tx, PERSON, ScriptUpload(name="own", content=content), now))
