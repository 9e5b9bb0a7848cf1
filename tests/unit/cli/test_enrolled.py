"""A name that a person types is one agent, or an error that says why not."""

import httpx
import pytest

from nanny_ops.cli.client import Client
from nanny_ops.cli.enrolled import find
from nanny_ops.errors import Conflict, NotFound

KNOWN = [
    {"agent_id": "a1", "hostname": "pve1", "status": "active"},
    {"agent_id": "a2", "hostname": "pve2", "status": "active"},
    {"agent_id": "a3", "hostname": "pve2", "status": "active"},
    {"agent_id": "a4", "hostname": "pve1", "status": "revoked"},
]


def test_an_id_a_host_name_and_what_is_neither() -> None:
    answer = {"items": KNOWN, "total": len(KNOWN)}
    plane = httpx.MockTransport(lambda _request: httpx.Response(200, json=answer))
    with Client("http://127.0.0.1:1", "t", transport=plane) as client:
        assert [find(client, name)["agent_id"] for name in ("pve1", "a4")] == ["a1", "a4"]
        with pytest.raises(Conflict):
            find(client, "pve2")
        with pytest.raises(NotFound):
            find(client, "pve3")
