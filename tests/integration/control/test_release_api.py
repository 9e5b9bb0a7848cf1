"""Releases and updates over real HTTP: added, handed out from any byte on, ordered, reported once."""

import hashlib
import uuid
from collections.abc import Callable

import httpx
import pytest

from tests.fakes.release import archive
from tests.integration.control.conftest import Agent

Enrol = Callable[..., Agent]


def test_a_release_is_added_once_and_handed_out_from_any_byte_on(
    operator: httpx.Client, viewer: httpx.Client, enrol: Enrol
) -> None:
    content = archive(f"1.0+{uuid.uuid4().hex[:8]}", {"wheels/a.whl": bytes(range(256)) * 9000})
    added = operator.post("/api/releases", content=content)
    assert added.status_code == 201, added.text
    release = added.json()
    assert (release["sha256"], release["size"]) == (hashlib.sha256(content).hexdigest(), len(content))
    assert operator.post("/api/releases", content=content).status_code == 200
    assert viewer.post("/api/releases", content=content).status_code == 403
    assert operator.post("/api/releases", content=b"nothing").status_code == 422
    agent, path = enrol(), f"/api/releases/{release['id']}/archive"
    whole = agent.client.get(path)
    assert (whole.status_code, whole.content) == (200, content)
    for begin in (0, 1, 2**20 - 1, 2**20, len(content) - 1):
        rest = agent.client.get(path, headers={"Range": f"bytes={begin}-"})
        assert (rest.status_code, rest.content == content[begin:]) == (206, True)
        assert rest.headers["content-range"] == f"bytes {begin}-{len(content) - 1}/{len(content)}"
    assert agent.client.get(path, headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    signed = agent.client.get(f"/api/releases/{release['id']}/signature").json()
    assert len(signed["signatures"]) == 1
    assert release["id"] in {one["id"] for one in viewer.get("/api/releases").json()["items"]}


@pytest.mark.rows("F7")
def test_an_update_is_ordered_begun_under_a_claim_and_reported_once(operator: httpx.Client, enrol: Enrol) -> None:
    agent = enrol()
    release = operator.post("/api/releases", content=archive(f"1.0+{uuid.uuid4().hex[:8]}")).json()
    asked = {"agent_id": agent.id, "release_id": release["id"]}
    placed = operator.post("/api/updates", json=asked)
    assert placed.status_code == 201, placed.text
    update = placed.json()["id"]
    assert operator.post("/api/updates", json=asked).status_code == 409
    items = agent.client.get(f"/api/agent/{agent.id}/operations").json()["items"]
    assert [(one["topic"], one["record"]["version"]) for one in items] == [("update_operations", release["version"])]
    begun = agent.client.post(f"/api/operations/{update}/ack", json={"state": "running", "claim": "c"}).json()
    assert (begun["proceed"], begun["lease"]) == (True, 1)
    said = {"outcome": "ok", "version": release["version"], "claim": "c"}
    answers = [agent.client.post(f"/api/updates/{update}/result", json=said).json()["new"] for _ in range(2)]
    assert answers == [True, False]
    shown = operator.get(f"/api/updates/{update}").json()
    assert (shown["status"], shown["outcome"], shown["running_version"]) == ("completed", "ok", release["version"])
