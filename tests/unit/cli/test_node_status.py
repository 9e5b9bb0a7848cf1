"""What ``nanny-agent status`` says of a static token; the rest of it is tested with the other commands."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.cli import node
from nanny_ops.errors import SettingsError
from tests.unit.cli.test_node import Machine, Server, status
from tests.unit.cli.test_node import server as make_server

server = make_server


@pytest.fixture
def machine(tmp_path: Path, server: Server) -> Machine:
    made = Machine(tmp_path, server.url)
    made.settings = replace(made.settings, token="nsk_secret")
    return made


def test_a_static_token_is_shown_without_registration(machine: Machine, server: Server, capsys: Any) -> None:
    told = {"agent_id": "agent-1", "expires_at": "2027-01-01T00:00:00.000Z"}
    server.answers["/api/agent-identity"] = lambda _body: (200, told)
    code, found = status(machine, capsys)
    assert (code, found["agent_id"], found["health"], found["token"]) == (0, "agent-1", "healthy", "static")
    assert found["token_expires_at"] == told["expires_at"]
    assert not machine.home.exists()
    assert machine.run("status") == 0
    shown = capsys.readouterr().out
    assert "static" in shown
    assert "nsk_secret" not in shown + json.dumps(found)


def test_a_revoked_static_token_is_said(machine: Machine, server: Server, capsys: Any) -> None:
    server.answers["/api/agent-identity"] = lambda _body: (
        401,
        {"error": "invalid_token", "error_description": "This token was revoked."},
    )
    code, found = status(machine, capsys)
    assert (code, found["health"]) == (4, "identity_refused")
    assert "revoked" in found["reason"]


def test_who_has_a_static_token_does_not_register(machine: Machine, capsys: Any) -> None:
    with pytest.raises(SettingsError, match="static token"):
        machine.run("register")
    assert machine.run("unregister") == 0
    assert "nanny-ops token revoke" in capsys.readouterr().out


def test_another_kind_of_token_is_a_wrong_setting(machine: Machine) -> None:
    for wrong in ("nop_operator", "nsk_ two", "secret"):
        machine.settings = replace(machine.settings, token=wrong)
        with pytest.raises(SettingsError, match="NANNY_AGENT_TOKEN") as told:
            machine.run("status")
        assert node.exit_code(told.value) == 2
        assert wrong not in told.value.message
