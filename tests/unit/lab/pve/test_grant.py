"""Changing who may do what; by the schema only."""

import json

import pytest

from tests.unit.lab.pve.pretended import ADMIN, AUDITOR, Asking, asking


def change(asked: Asking, method: str, where: str, token: str = ADMIN, **given: str) -> tuple[int, str]:
    body = "&".join(f"{name}={value}" for name, value in given.items()).encode()
    target = where if method != "DELETE" else where + ("?" + body.decode() if body else "")
    reply = asked.reply(method, target, token, b"" if method == "DELETE" else body)
    return reply.status, reply.reason


def test_a_token_with_a_role_of_its_own_may_just_that() -> None:
    asked = asking()
    assert change(asked, "POST", "/access/roles", roleid="Looker", privs="VM.Audit,Sys.Audit") == (200, "OK")
    assert change(asked, "POST", "/access/users", userid="fresh@pve") == (200, "OK")
    reply = asked.reply("POST", "/access/users/fresh@pve/token/agent", body=b"privsep=0&comment=made+once")
    made = json.loads(reply.body)["data"]
    assert made["full-tokenid"] == "fresh@pve!agent"
    assert change(asked, "PUT", "/access/acl", path="/vms", users="fresh@pve", roles="Looker") == (200, "OK")
    header = f"PVEAPIToken=fresh@pve!agent={made['value']}"
    told = json.loads(asked.reply("GET", "/access/permissions", authorization=header).body)["data"]
    assert told["/vms"] == {"Sys.Audit": 1, "VM.Audit": 1}
    assert "value" not in asked.get("/access/users/fresh@pve/token/agent")
    assert change(asked, "PUT", "/access/acl", path="/vms", users="fresh@pve", roles="Looker", delete="1")[0] == 200
    assert change(asked, "DELETE", "/access/users/fresh@pve/token/agent") == (200, "OK")
    assert asked.reply("GET", "/version", authorization=header).status == 401
    assert change(asked, "DELETE", "/access/users/fresh@pve") == (200, "OK")
    assert change(asked, "DELETE", "/access/roles/Looker") == (200, "OK")


def test_what_is_there_or_missing_is_said() -> None:
    asked = asking()
    assert change(asked, "POST", "/access/users", userid="agent@pve")[1].endswith("already exists")
    assert change(asked, "POST", "/access/users/agent@pve/token/mon") == (400, "Parameter verification failed.")
    assert change(asked, "DELETE", "/access/users/agent@pve/token/none")[0] == 500
    assert change(asked, "DELETE", "/access/roles/PVEAuditor")[0] == 500
    assert change(asked, "PUT", "/access/acl", path="/", users="agent@pve", roles="None")[0] == 400


def test_an_auditor_changes_nothing() -> None:
    asked = asking()
    assert change(asked, "POST", "/access/roles", AUDITOR, roleid="X", privs="VM.Audit")[0] == 403
    assert change(asked, "PUT", "/access/acl", AUDITOR, path="/", users="agent@pve", roles="Administrator")[0] == 403


@pytest.mark.rows("PVE-35")
def test_without_quorum_nothing_is_changed_and_that_takes_its_time() -> None:
    asked = asking()
    asked.api.cluster.quorate = False
    reply = asked.reply("POST", "/access/users/agent@pve/token/new")
    assert (reply.status, reply.reason, reply.delay) == (500, "cfs-lock 'file-user_cfg' error: no quorum!", 9.0)
    assert asked.get("/access/users/agent@pve")["enable"] == 1


def test_what_is_there_is_changed() -> None:
    asked = asking()
    assert change(asked, "POST", "/access/roles", roleid="Looker", privs="VM.Audit") == (200, "OK")
    assert change(asked, "PUT", "/access/roles/Looker", privs="Sys.Audit", append="1") == (200, "OK")
    assert asked.get("/access/roles/Looker") == {"Sys.Audit": 1, "VM.Audit": 1}
    assert change(asked, "PUT", "/access/roles/Looker", privs="Sys.Audit") == (200, "OK")
    assert asked.get("/access/roles/Looker") == {"Sys.Audit": 1}
    assert change(asked, "PUT", "/access/users/agent@pve", enable="0", comment="x") == (200, "OK")
    assert asked.get("/access/users/agent@pve")["enable"] == 0
    assert change(asked, "PUT", "/access/users/agent@pve/token/mon", privsep="1", expire="99") == (200, "OK")
    assert asked.get("/access/users/agent@pve/token/mon") == {"expire": 99, "privsep": 1}
    assert change(asked, "PUT", "/access/roles/PVEAuditor", privs="")[1].endswith("cannot be modified")
    assert change(asked, "PUT", "/access/roles/None", privs="")[1].endswith("does not exist")
    assert change(asked, "PUT", "/access/users/none@pve")[0] == 500
    assert change(asked, "PUT", "/access/users/agent@pve/token/none")[0] == 500


@pytest.mark.parametrize(("release", "status"), [("8.4", 400), ("9.2", 200)])
def test_a_new_secret_for_a_token_came_with_9(release: str, status: int) -> None:
    asked = asking(release)
    where = "/access/users/agent@pve/token/mon"
    before = asked.api.access.tokens["agent@pve!mon"].secret
    assert change(asked, "PUT", where, regenerate="1")[0] == status
    assert (asked.api.access.tokens["agent@pve!mon"].secret != before) is (status == 200)


def test_what_a_path_does_not_hand_on_is_told_as_that() -> None:
    asked = asking()
    asked.api.access.users["agent@pve"].enabled = True
    asked.api.access.grants[:] = []
    given = {"path": "/", "users": "agent@pve", "roles": "PVEAuditor", "propagate": "0"}
    assert change(asked, "PUT", "/access/acl", **given) == (200, "OK")
    told = asked.get("/access/permissions", AUDITOR)
    assert set(told) == {"/"}
    assert set(told["/"].values()) == {0}
