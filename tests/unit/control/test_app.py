"""The app opens its own store and fills in what ships with the product."""

from pathlib import Path

from nanny_ops.control.app import open_database, prepare
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import script as scripts
from nanny_ops.control.store import team as teams
from nanny_ops.patch_scripts.distribution import SERVED


def test_preparing_twice_ships_each_script_once(tmp_path: Path) -> None:
    database = open_database(Settings(data_dir=tmp_path / "data"))
    prepare(database)
    prepare(database)
    shipped = database.read_now(scripts.shipped)
    assert [script.name for script in shipped] == sorted(SERVED)
    assert shipped[0].content.startswith(b"#!/bin/sh\n")
    assert database.read_now(teams.every) == [teams.DEFAULT]
    database.close()
