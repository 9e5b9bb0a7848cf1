"""A control plane in memory, reached through httpx's own test transport."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import httpx

from nanny_ops.agent.client import ApiClient
from nanny_ops.agent.equipment import Equipment
from nanny_ops.agent.trust import Trust
from nanny_ops.machine.pinned_keys import PinnedKeys
from nanny_ops.machine.policy import Policy

URL = "http://127.0.0.1:8000"
AGENT = "agent-1"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SCRIPT = b"#!/bin/sh\necho '[]'\n"
#: A machine that never pinned a key.
NOWHERE = Path("/nonexistent")
LEASE = 3
OPEN = {"pending", "delivered", "running"}
Handler = Callable[[httpx.Request], httpx.Response | None]


async def no_sleep(_seconds: float) -> None:
    await asyncio.sleep(0)


def patch_record(order_id: str = "op-1", **values: Any) -> dict[str, Any]:
    given = {
        "id": order_id,
        "agent_id": AGENT,
        "mode": "dry-run",
        "script_id": "apt",
        "script_url": "/api/patches/apt/script",
        "status": "pending",
        "timeout_seconds": 60,
    }
    return {**given, **values}


def refuse(status: int, code: str = "some_code", **headers: str) -> httpx.Response:
    body = {"error": code, "error_description": "a sentence", "timestamp": "2026-01-01T00:00:00Z"}
    return httpx.Response(status, json=body, headers=headers)


class FakeControlPlane:
    """Answers the agent's requests; ``rules`` are asked first, so that a test can answer something else."""

    def __init__(self, *, step: Callable[[str], None] = lambda _name: None) -> None:
        self.step = step
        self.requests: list[tuple[str, str]] = []
        self.seen: list[httpx.Request] = []
        self.operations: dict[str, dict[str, Any]] = {}
        self.results: dict[str, list[dict[str, Any]]] = {}
        self.reports: dict[str, Any] = {}
        self.readings: list[tuple[str, Any]] = []
        self.chunks: list[Any] = []
        self.steps: list[Any] = []
        self.script, self.sha256 = SCRIPT, hashlib.sha256(SCRIPT).hexdigest()
        self.rules: list[Handler] = []
        self.claims: dict[str, str] = {}
        #: What an order that may begin leaves, if the answer says so.
        self.exclude: list[str] | None = None
        self.stream: Callable[[httpx.Request], AsyncIterator[bytes]] | None = None
        #: What carries requests instead of memory, where a part of them goes over real sockets.
        self.way: httpx.AsyncBaseTransport | None = None

    @property
    def transport(self) -> httpx.AsyncBaseTransport:
        return self.way or httpx.MockTransport(self.handle)

    def add(self, record: dict[str, Any]) -> dict[str, Any]:
        self.operations[record["id"]] = record
        return record

    def open_records(self) -> list[dict[str, Any]]:
        return [dict(one) for one in self.operations.values() if one["status"] in OPEN]

    async def handle(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        what = f"{request.method} {request.url.path}"
        self.requests.append((request.method, request.url.path))
        self.seen.append(request)
        self.step(f"before {what}")
        for rule in self.rules:
            given = rule(request)
            if given is not None:
                return given
        answer = self._answer(request, request.url.path.strip("/").split("/"), content)
        self.step(f"after {what}")
        return answer

    def _answer(self, request: httpx.Request, path: list[str], content: bytes) -> httpx.Response:  # noqa: C901
        match (request.method, *path[1:]):
            case ("GET", "patches", _, "script"):
                return httpx.Response(200, content=self.script)
            case ("GET", "patches", _, "sha256"):
                return httpx.Response(200, json={"sha256": self.sha256})
            case ("POST", "operations", order_id, "ack"):
                return self._ack(order_id, **json.loads(content))
            case ("POST", "operations", order_id, "renew"):
                return self._renew(order_id, json.loads(content)["lease"])
            case ("POST", "operations", _, "output"):
                self.chunks.append(json.loads(content))
                return httpx.Response(200, json={"success": True})
            case ("POST", "operations", _, "steps"):
                self.steps.append(json.loads(content)["steps"])
                return httpx.Response(204)
            case ("POST", "patches", order_id, "results"):
                return self._result(order_id, request, content)
            case ("POST", "investigations", order_id, "report"):
                self.reports[order_id] = json.loads(content)
                self.operations[order_id]["status"] = "failed"
                return httpx.Response(200, json={"success": True})
            case ("GET", "agent", _, "operations"):
                items = [{"topic": "patch_operations", "record": one} for one in self.open_records()]
                return httpx.Response(200, json={"items": items})
            case ("GET", "realtime") if self.stream is not None:
                return httpx.Response(200, content=self.stream(request))
            case ("POST", "realtime"):
                return httpx.Response(204)
            case ("POST", "agent") | ("POST", "proxmox", _):
                self.readings.append((request.url.path, json.loads(content)))
                return httpx.Response(200, json={"success": True, "message": ""})
        return refuse(404, "not_found")

    def _ack(self, order_id: str, state: str, claim: str = "", *, amends: bool = False) -> httpx.Response:
        record = self.operations.get(order_id)
        if record is None:
            return refuse(404, "not_found")
        proceed = record["status"] in OPEN
        if proceed and state == "running" and self.claims.setdefault(order_id, claim) != claim:
            return refuse(423, "lease_held", **{"retry-after": "7"})
        if proceed and record["status"] != "running":
            record["status"] = state
        return self._told(order_id, leased=state == "running", exclude=self.exclude if amends else None)

    def _renew(self, order_id: str, lease: int) -> httpx.Response:
        return self._told(order_id, leased=True) if lease == LEASE else refuse(409, "fenced")

    def _told(self, order_id: str, *, leased: bool, exclude: list[str] | None = None) -> httpx.Response:
        status = self.operations[order_id]["status"]
        lease = {"lease": LEASE, "lease_seconds": 120} if leased and status in OPEN else {}
        told = {"id": order_id, "status": status, "proceed": status in OPEN, "exclude": exclude, **lease}
        return httpx.Response(200, json=told)

    def _result(self, order_id: str, request: httpx.Request, content: bytes) -> httpx.Response:
        parts = read_parts(request.headers["content-type"], content)
        self.results.setdefault(order_id, []).append(
            {**parts, "metadata": json.loads(parts["metadata"])},
        )
        if order_id in self.operations:
            self.operations[order_id]["status"] = "completed"
        return httpx.Response(200, json={"success": True, "message": ""})


def read_parts(content_type: str, content: bytes) -> dict[str, bytes]:
    message = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + content)
    return {
        str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
        for part in message.get_payload()
    }


class FixedTokens:
    """A token that a refresh turns into the next one."""

    def __init__(self) -> None:
        self.renewals = 0

    async def access(self) -> str:
        return f"token-{self.renewals}"

    async def renew(self, stale: str) -> str:
        if stale == f"token-{self.renewals}":
            self.renewals += 1
        return f"token-{self.renewals}"


def make_client(plane: FakeControlPlane, sleep: Any = no_sleep) -> ApiClient:
    client = ApiClient(URL, transport=plane.transport, sleep=sleep, random=lambda: 0.5)
    client.tokens = FixedTokens()
    return client


def make_equipment(plane: FakeControlPlane, hands: Any, **values: Any) -> Equipment:
    client = make_client(plane)
    rules = values.get("policy", Policy())
    given = {
        "client": client,
        "hands": hands,
        "agent_id": AGENT,
        "now": lambda: NOON,
        "sleep": no_sleep,
        "policy": rules,
        "trust": Trust(
            client=client,
            hands=hands,
            policy=rules,
            pinned=PinnedKeys(NOWHERE / "trusted_keys.json"),
            local=None,
            now=lambda: NOON,
        ),
    }
    return Equipment(**{**given, **values})
