"""The app opens its own store, and the document tells how every refusal looks."""

from pathlib import Path

from nanny_ops.control.app import create_app, open_database, prepare
from nanny_ops.control.services.script import FAMILIES
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import script as scripts
from nanny_ops.control.store import team as teams


def test_preparing_twice_ships_each_script_once(tmp_path: Path) -> None:
    database = open_database(Settings(data_dir=tmp_path / "data"))
    prepare(database)
    prepare(database)
    shipped = database.read_now(scripts.shipped)
    assert [script.name for script in shipped] == list(FAMILIES)
    assert shipped[0].content.startswith(b"#!/bin/sh\n")
    assert database.read_now(teams.every) == [teams.DEFAULT]
    database.close()


def test_the_document_names_security_and_refusals(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path))
    document = app.openapi()
    app.state.control.database.close()
    ack = document["paths"]["/api/operations/{operation_id}/ack"]["post"]
    assert ack["security"] == [{"bearer": []}]
    assert {"200", "400", "401", "403", "404", "413", "429", "503"} <= ack["responses"].keys()
    assert "422" not in ack["responses"]
    assert "security" not in document["paths"]["/health"]["get"]
    assert "422" in document["paths"]["/api/auth/login"]["post"]["responses"]
