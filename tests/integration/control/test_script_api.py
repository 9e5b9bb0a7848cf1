"""Scripts over real HTTP: downloaded and verified by agents, added by operators."""

import hashlib
import json
import uuid
from collections.abc import Callable

import httpx
import pytest

from tests.integration.control.conftest import Agent

Enrol = Callable[..., Agent]


def upload(client: httpx.Client, content: str, name: str = "own", **fields: str) -> httpx.Response:
    return client.post("/api/scripts", json={"name": name, "content": content, **fields})


def fresh() -> str:
    return f"#!/bin/sh\n# {uuid.uuid4()}\necho '[]'\n"


@pytest.mark.rows("G0-PT-05", "G0-PT-06")
def test_a_script_is_what_its_sha256_says(operator: httpx.Client, enrol: Enrol) -> None:
    agent = enrol()
    shipped = operator.get("/api/scripts").json()["items"]
    script_id = next(script["id"] for script in shipped if script["shipped"])
    got = agent.client.get(f"/api/patches/{script_id}/script")
    told = agent.client.get(f"/api/patches/{script_id}/sha256")
    assert (got.status_code, told.status_code) == (200, 200)
    assert got.headers["content-type"].startswith("text/x-shellscript")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.content.startswith(b"#!/bin/sh\n")
    assert told.json() == {"sha256": hashlib.sha256(got.content).hexdigest()}
    assert operator.get(f"/api/patches/{script_id}/script").content == got.content


@pytest.mark.rows("G0-PT-05", "G0-PT-06", "G0-ER-01", "G0-ER-02")
@pytest.mark.parametrize("what", ["script", "sha256"])
def test_nobody_and_nothing(anonymous: httpx.Client, enrol: Enrol, what: str) -> None:
    refused = anonymous.get(f"/api/patches/apt/{what}")
    assert (refused.status_code, refused.json()["error"]) == (401, "unauthorized")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    unknown = enrol().client.get(f"/api/patches/none-such/{what}")
    assert (unknown.status_code, unknown.json()["error"]) == (404, "not_found")
    assert set(unknown.json()) >= {"error", "error_description", "timestamp"}


def test_an_added_script_is_one_version_for_ever(operator: httpx.Client, viewer: httpx.Client, enrol: Enrol) -> None:
    content = fresh()
    first, again = upload(operator, content, description="Does nothing."), upload(operator, content)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    checksum = hashlib.sha256(content.encode()).hexdigest()
    script_id = first.json()["id"]
    assert (script_id, first.json()["sha256"]) == (f"own-{checksum[:16]}", checksum)
    assert enrol().client.get(f"/api/patches/{script_id}/script").text == content
    assert viewer.get(f"/api/scripts/{script_id}").json() == first.json()
    assert script_id in [script["id"] for script in viewer.get("/api/scripts").json()["items"]]
    assert upload(operator, fresh()).json()["id"] != script_id


def test_a_script_is_its_teams_own(operator: httpx.Client, stranger: httpx.Client) -> None:
    content = fresh()
    mine, theirs = upload(operator, content), upload(stranger, content)
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["id"] != theirs.json()["id"]
    assert upload(stranger, content).json() == theirs.json()
    assert stranger.get(f"/api/scripts/{mine.json()['id']}").status_code == 404
    assert stranger.get(f"/api/patches/{mine.json()['id']}/script").status_code == 404


@pytest.mark.parametrize(
    "content", ["echo\n", "#!\n", "#!/bin/sh\r\necho\r\n", "#!/bin/sh\n\0", "#!/bin/sh\n\ud800", "", "#!" + "x" * 2**20]
)
def test_what_is_no_script_is_refused(operator: httpx.Client, content: str) -> None:
    body = b'{"name": "own", "content": ' + _json(content) + b"}"
    answer = operator.post("/api/scripts", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == "content"


def _json(text: str) -> bytes:
    return json.dumps(text).encode()


@pytest.mark.parametrize("name", ["", "Own", "a b", "../etc", ".hidden", "a" * 101])
def test_a_name_becomes_part_of_an_address(operator: httpx.Client, name: str) -> None:
    answer = upload(operator, fresh(), name)
    assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (422, "name")


def test_who_may_add(viewer: httpx.Client, anonymous: httpx.Client, enrol: Enrol) -> None:
    assert upload(viewer, fresh()).status_code == 403
    assert upload(enrol().client, fresh()).status_code == 403
    assert upload(anonymous, fresh()).status_code == 401
