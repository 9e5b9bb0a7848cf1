"""Logging in."""

import json

import pytest

from tests.unit.lab.pve.pretended import Asking, asking


@pytest.fixture
def asked() -> Asking:
    made = asking()
    made.api.access.users["agent@pve"].password = "right"
    return made


def test_a_ticket_reads_and_tells_what_its_user_may(asked: Asking) -> None:
    reply = asked.reply("POST", "/access/ticket", authorization="", body=b"username=agent@pve&password=right")
    found = json.loads(reply.body)["data"]
    assert found["cap"]["vms"] == {"VM.Audit": 1}
    assert asked.reply("GET", "/version", authorization="", cookie=f"PVEAuthCookie={found['ticket']}").status == 200


@pytest.mark.rows("PVE-02")
def test_a_wrong_password_is_answered_late(asked: Asking) -> None:
    reply = asked.reply("POST", "/access/ticket", authorization="", body=b"username=agent@pve&password=wrong")
    assert (reply.status, reply.reason, reply.delay) == (401, "authentication failure", 3.0)
