"""The calls about releases and updates, and what a person reads of an update."""

import json
from pathlib import Path

import httpx
import pytest

from nanny_ops.cli.client import Client
from nanny_ops.cli.watch import to_end
from nanny_ops.errors import Unavailable
from nanny_ops.protocol.clock import now, stamp
from nanny_ops.protocol.update import Update

RELEASE = {"id": "r", "version": "2", "sha256": "0" * 64, "size": 4, "created_by": "u", "created_at": ""}
UPDATE = Update(
    id="update-1", agent_id="a", release_id="r", version="2", status="running", outcome=None, reason="",
    running_version="", force=False, created_by="u", created_at="", updated_at="", expires_at=stamp(now()),
    started_at=None, finished_at=None,
)  # fmt: skip


def test_an_archive_travels_as_it_is(tmp_path: Path) -> None:
    sent: list[bytes] = []

    def plane(request: httpx.Request) -> httpx.Response:
        sent.append(request.read())
        return httpx.Response(201, json=RELEASE)

    (tmp_path / "a.tar").write_bytes(b"\0tar")
    with Client("http://127.0.0.1:1", "t", transport=httpx.MockTransport(plane)) as client:
        assert client.add_release(tmp_path / "a.tar").version == "2"
    assert sent == [b"\0tar"]


def test_an_update_is_watched_to_its_end_and_no_longer_than_its_expiry() -> None:
    ended = {**vars(UPDATE), "status": "failed", "outcome": "rolled_back", "reason": "It did not come up."}
    answers = [vars(UPDATE), ended]
    plane = httpx.MockTransport(lambda _request: httpx.Response(200, content=json.dumps(answers.pop(0))))
    with Client("http://127.0.0.1:1", "t", transport=plane) as client:
        assert to_end(client.update, UPDATE, sleep=lambda _seconds: None).outcome == "rolled_back"
        late = Update(**{**vars(UPDATE), "expires_at": "2020-01-01T00:00:00Z"})
        with pytest.raises(Unavailable):
            to_end(client.update, late, sleep=lambda _seconds: None)
