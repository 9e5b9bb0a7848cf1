"""An apply that is bound to a dry run does what was shown, and tells what came out otherwise."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from nanny_ops.control.services import package_exception as exceptions
from nanny_ops.control.services import patch, result
from nanny_ops.control.services.preview import compared
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import Conflict, NotFound, ValidationFailed
from nanny_ops.protocol.package_exception import ExceptionRequest
from nanny_ops.protocol.patch import Difference, PackageChange, PatchOperation, ResultMetadata
from nanny_ops.protocol.patch_report import Left, PatchReport
from tests.unit.control.services import batch_site
from tests.unit.control.services.batch_site import PERSON
from tests.unit.control.services.test_hold import AGENT, begins, placed, row

SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
NGINX = PackageChange(name="nginx", old_version="1", version="2")
VIM = PackageChange(name="vim", old_version="8", version="9")
NEW = PackageChange(name="libnew", version="1", action="install")


@pytest.fixture
def site(database: Database, now: datetime) -> Database:
    batch_site.build(database, now)
    return database


def ended(site: Database, now: datetime, order: Operation, *done: PackageChange, left: tuple[Left, ...] = ()) -> None:
    begins(site, now, order)
    said = ResultMetadata(
        operation_id=order.id, success=True, claim="c", package_list=list(done), report=PatchReport(left=list(left))
    )
    site.write_now(lambda tx: result.take(tx, AGENT, order.id, said, "r", now))


def told(site: Database, now: datetime, order: Operation) -> PatchOperation:
    return site.read_now(lambda tx: patch.detail(tx, row(site, order), now))


def dry_run(site: Database, now: datetime, *shown: PackageChange, **more: Any) -> Operation:
    made = placed(site, now, mode="dry-run", **more)
    ended(site, now, made, *shown)
    return made


@SQLITE
def test_it_is_the_packages_script_and_options_of_the_dry_run(site: Database, now: datetime) -> None:
    shown = dry_run(site, now, NGINX, VIM, NEW, exclude=["curl"], security_only=True)
    apply = told(site, now, placed(site, now, as_shown=shown.id))
    assert (apply.only, apply.exclude, apply.security_only) == (["nginx", "vim"], ["curl"], True)
    assert (apply.script_id, apply.as_shown, apply.differences) == (shown.script_id, shown.id, None)


@SQLITE
def test_what_came_otherwise_is_told_with_the_reason(site: Database, now: datetime) -> None:
    shown = dry_run(site, now, NGINX, VIM, NEW)
    apply = placed(site, now, as_shown=shown.id)
    ended(site, now, apply, replace(NGINX, version="3"), NEW, left=(Left(name="vim", why="held"),))
    assert told(site, now, apply).differences == [
        Difference(name="nginx", shown="2", done="3", why="another_version"),
        Difference(name="vim", shown="9", why="held"),
    ]
    same = placed(site, now, as_shown=shown.id)
    ended(site, now, same, NGINX, VIM, NEW)
    assert told(site, now, same).differences == []
    assert told(site, now, shown).differences is None


def test_what_was_not_shown_is_told_too() -> None:
    gone = PackageChange(name="nginx", old_version="1", action="remove")
    assert compared([NGINX], [gone]) == [
        Difference(name="nginx", shown="2", why="not_done"),
        Difference(name="nginx", done="", why="not_shown"),
    ]


@SQLITE
def test_what_is_held_back_since_then_is_left(site: Database, now: datetime) -> None:
    shown = dry_run(site, now, NGINX, VIM)
    asked = ExceptionRequest(package="vim", reason="breaks the editor")
    site.write_now(lambda tx: exceptions.add(tx, PERSON, asked, now))
    order = placed(site, now, as_shown=shown.id)
    apply = told(site, now, order)
    assert (apply.only, apply.exclude) == (["nginx"], ["vim"])
    ended(site, now, order, NGINX)  # the script tells only of what it was asked for
    assert told(site, now, order).differences == [
        Difference(name="vim", shown="9", why="exception", reason="breaks the editor")
    ]
    site.write_now(lambda tx: exceptions.add(tx, PERSON, replace(asked, package="nginx"), now))
    with pytest.raises(Conflict, match="held back by now"):
        placed(site, now, as_shown=shown.id)


@SQLITE
@pytest.mark.parametrize(
    ("asked", "wrong", "said"),
    [
        ({"exclude": ["vim"]}, ValidationFailed, "exclude: comes with the dry run"),
        ({"mode": "dry-run"}, ValidationFailed, "for mode apply"),
        ({"vmid": "102"}, Conflict, "order a dry run of this target"),
        ({"as_shown": "patch-none"}, NotFound, "patch-none"),
    ],
)
def test_a_wrong_dry_run_is_refused(
    site: Database, now: datetime, asked: dict[str, Any], wrong: type[Exception], said: str
) -> None:
    shown = dry_run(site, now, NGINX)
    with pytest.raises(wrong, match=said):
        placed(site, now, **{"as_shown": shown.id, **asked})


@SQLITE
def test_a_dry_run_that_shows_nothing_or_has_not_ended_binds_nothing(site: Database, now: datetime) -> None:
    with pytest.raises(Conflict, match="shows no package to upgrade"):
        placed(site, now, as_shown=dry_run(site, now).id)
    with pytest.raises(Conflict, match="no dry run that has ended well"):
        placed(site, now, as_shown=placed(site, now, mode="dry-run").id)
    with pytest.raises(Conflict, match="no dry run that has ended well"):
        placed(site, now, as_shown=placed(site, now).id)
