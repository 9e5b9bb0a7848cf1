"""Options that mean nothing are refused by name, and what an agent cannot do is not ordered of it."""

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import pytest

from nanny_ops.control.services import patch_option as options
from nanny_ops.control.services import script as scripts
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Database
from nanny_ops.errors import Conflict, NotFound, ValidationFailed
from nanny_ops.protocol.feature import FEATURES
from nanny_ops.protocol.patch_order import Hook, PatchOptions
from nanny_ops.protocol.probe import Probe

OLD = Agent("agent-1", teams.DEFAULT, "pve1", "proxmox", "debian", "1", "", "6.8", "linux", [], "active", 0)
ABLE = replace(OLD, features=sorted(FEATURES))


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (PatchOptions(protect="require-snapshot"), "protect"),
        (PatchOptions(backup_storage="a b"), "backup_storage"),
        (PatchOptions(hooks=[Hook(stage="pre", script_id="x", script_url="http://elsewhere")]), "hooks"),
        (PatchOptions(hooks=[Hook(stage="pre", script_id="x", args=["a\0"])]), "hooks"),
        (PatchOptions(probes=[Probe(kind="unit")]), "probes"),
        (PatchOptions(probes=[Probe(kind="unit", unit="a b")]), "probes"),
        (PatchOptions(probes=[Probe(kind="http", url="ftp://x")]), "probes"),
        (PatchOptions(probes=[Probe(kind="http", url="http://a:b@x")]), "probes"),
        (PatchOptions(probes=[Probe(kind="command", argv=["a\0"])]), "probes"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_means_nothing_is_refused_by_name(database: Database, asked: PatchOptions, field: str) -> None:
    with pytest.raises(ValidationFailed) as wrong:
        database.read_now(lambda tx: options.check(tx, asked, "host", teams.DEFAULT))
    assert wrong.value.details["field"] == field


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_hook_names_a_script_that_is_there(database: Database, now: datetime) -> None:
    database.write_now(lambda tx: scripts.ship(tx, now))
    shipped = database.read_now(lambda tx: scripts.for_families(tx, ["debian"]))
    for name, there in ((shipped.id, True), ("none", False)):
        asked = PatchOptions(hooks=[Hook(stage="post", script_id=name)])
        if there:
            database.read_now(lambda tx, asked=asked: options.check(tx, asked, "lxc:100", teams.DEFAULT))
        else:
            with pytest.raises(NotFound):
                database.read_now(lambda tx, asked=asked: options.check(tx, asked, "lxc:100", teams.DEFAULT))


@pytest.mark.parametrize(
    ("asked", "target", "feature"),
    [
        ({"dist_upgrade": True}, "host", "script-options"),
        ({"protect": "prefer-snapshot"}, "lxc:100", "protection"),
        ({"hooks": [Hook(stage="pre", script_id="x")]}, "host", "hooks"),
        ({"bake_seconds": 5}, "host", "probes"),
        ({"start_stopped": True}, "lxc:100", "start-stopped"),
        ({}, "qemu:100", "qemu"),
    ],
)
def test_an_agent_that_does_not_say_it_can_is_not_asked(asked: dict[str, Any], target: str, feature: str) -> None:
    options.demand(OLD, PatchOptions(), "lxc:100")
    options.demand(ABLE, PatchOptions(**asked), target)
    with pytest.raises(Conflict, match="cannot do this") as wrong:
        options.demand(OLD, PatchOptions(**asked), target)
    assert wrong.value.details["features"] == [feature]


def test_only_what_differs_is_kept_and_comes_back_whole() -> None:
    assert options.kept(PatchOptions()) == {}
    asked = PatchOptions(
        protect="require-backup",
        hooks=[Hook(stage="pre", script_id="check-1", args=["-x"])],
        probes=[Probe(kind="tcp", port=80)],
    )
    kept = options.kept(asked)
    assert set(kept) == {"protect", "hooks", "probes"}
    back = PatchOptions(**options.restored(kept))
    assert back.hooks[0].script_url == "/api/patches/check-1/script"
    assert asdict(replace(back, hooks=[replace(back.hooks[0], script_url="")])) == asdict(asked)
