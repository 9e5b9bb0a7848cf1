"""Answers about snapshots become records, whatever else a newer control plane tells."""

import json

import httpx

from nanny_ops.cli.client import Client
from tests.unit.cli.test_snapshot import ORDER, ROW


def test_rows_and_orders_are_read() -> None:
    asked: list[tuple[str, str, bytes]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, str(request.url.raw_path, "ascii"), request.content))
        order = {**vars(ORDER), "removals": [{**vars(one), "newer": 1} for one in ORDER.removals], "newer": 1}
        if request.method == "POST":
            told = {"dry": False, "keep": 1, "older_than_hours": None, "orders": [order], "spared": []}
            return httpx.Response(201, json=told)
        if request.url.path.startswith("/api/prunes/"):
            return httpx.Response(200, json=order)
        row = {**vars(ROW), "newer": 1}
        return httpx.Response(200, json=row if request.url.path.endswith("-1") else {"items": [row], "total": 1})

    with Client("http://127.0.0.1:1", transport=httpx.MockTransport(answer)) as client:
        assert client.snapshots(10, state="kept", kind="") == [ROW]
        assert client.snapshot("snapshot-1") == ROW
        assert client.prune({"keep": 1}).orders == [ORDER]
        assert client.prune_order("prune-1") == ORDER
    assert asked[0][1] == "/api/snapshots?state=kept&limit=10&offset=0"
    assert json.loads(asked[2][2]) == {"keep": 1}
