"""Orders by playbooks, carried out by an agent; the events that tell of it reach the source of a rulebook once."""

import asyncio
import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.house.tree import ROOT
from tests.integration.collection.conftest import Ansible, task
from tests.integration.control.conftest import Agent, Server
from tests.integration.control.listener import deliver

SOURCE = ROOT / "ansible/collections/ansible_collections/nanny/ops/extensions/eda/plugins/event_source/events.py"
OPENSSL = {"name": "openssl", "version": "3.0.15-1", "old_version": "3.0.14-1", "action": "upgrade", "security": True}
#: Programs of Ansible start slowly where all cores are busy.
pytestmark = pytest.mark.timeout(300)


class Worker(threading.Thread):
    """An agent that does at once what it is told; ``bad`` makes it say that it could not."""

    def __init__(self, agent: Agent) -> None:
        super().__init__(daemon=True)
        self.agent, self.bad, self.seen = agent, False, list[dict[str, Any]]()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.2):
            answer = self.agent.client.get(f"/api/agent/{self.agent.id}/operations", params={"state": "open"})
            for item in answer.json()["items"]:
                self._do(item["topic"], item["record"])

    def stop(self) -> None:
        self._over.set()
        self.join(30)

    def _do(self, topic: str, record: dict[str, Any]) -> None:
        self.seen.append(record)
        ack = {"state": "running", "claim": f"claim-{record['id']}"[:64]}
        self.agent.client.post(f"/api/operations/{record['id']}/ack", json=ack).raise_for_status()
        if topic == "reboot_operations":
            body = {"outcome": "ok", "before": "a", "after": "b", "claim": ack["claim"]}
            self.agent.client.post(f"/api/reboots/{record['id']}/result", json=body).raise_for_status()
            return
        told: dict[str, Any] = {"success": True, "package_list": [OPENSSL], "claim": ack["claim"]}
        if self.bad:
            told = {"success": False, "outcome": "disk_full", "reason": "No room on /var.", "claim": ack["claim"]}
        deliver(self.agent, record["id"], b"done\n", **told).raise_for_status()


@pytest.fixture
def worker(enrol: Callable[..., Agent]) -> Iterator[Worker]:
    """An agent at work."""
    agent = enrol("pve1", platform="debian", platform_family="debian")
    running = Worker(agent)
    agent.client.post("/api/agent", json={"system_metrics": {"features": ["reboot"]}})
    running.start()
    yield running
    running.stop()


def test_a_patch_is_changed_by_its_packages(ansible: Ansible, worker: Worker) -> None:
    mine = {"agent_id": worker.agent.id}
    run = ansible.play(
        [
            task("checked", "operation", check=True, **mine, security_only=True, hooks=[]),
            task("tried", "operation", **mine, mode="dry-run"),
            {
                **task("done", "operation", check=False, **mine, output=True, idempotency_key="tonight"),
                "register": "it",
            },
            task("the same order", "operation", **mine, idempotency_key="tonight"),
            task("shown", "operation_info", operation_id="{{ it.operation.id }}"),
            task("listed", "operation_info", **mine, mode="apply"),
            task("too late", "operation", state="cancelled", operation_id="{{ it.operation.id }}"),
            {
                "name": "looked up",
                "ansible.builtin.set_fact": {
                    "outcome": "{{ lookup('nanny.ops.report', it.operation.id).outcome }}",
                    "newest": "{{ (lookup('nanny.ops.report', agent_id=it.operation.agent_id, mode='apply')).id }}",
                    "names": "{{ it | nanny.ops.package_changes(security=true) | map(attribute='name') }}",
                },
            },
        ]
    )
    assert run.code == 0, run.said
    assert [one["mode"] for one in worker.seen] == ["dry-run", "dry-run", "apply"]
    assert worker.seen[0]["security_only"] is True
    assert run.changes() == ["checked", "done"]
    assert run["done"].result["stdout"] == "done\n"
    assert run["done"].result["diff"]["before"] == "openssl 3.0.14-1\n"
    assert run["done"].result["diff"]["after"] == "openssl 3.0.15-1\n"
    order = run["done"].result["operation"]["id"]
    assert run["the same order"].result["operation"]["id"] == order
    assert run["shown"].result["operations"][0]["package_list"][0]["name"] == "openssl"
    assert [one["id"] for one in run["listed"].result["operations"]] == [order]
    assert run["looked up"].result["ansible_facts"] == {"outcome": "ok", "newest": order, "names": ["openssl"]}


def test_what_goes_wrong_fails_the_task_with_the_reason(ansible: Ansible, worker: Worker) -> None:
    worker.bad = True
    run = ansible.play([task("patched", "operation", hostname="pve1-of-nobody"), task("never", "agent_info")])
    assert run["patched"].how == "failed"
    run = ansible.play([task("patched", "operation", agent_id=worker.agent.id)])
    assert (run.code, run["patched"].how, run["patched"].changed) == (2, "failed", False)
    assert "disk_full. No room on /var." in run["patched"].result["msg"]


def test_the_source_of_events_misses_and_repeats_nothing(
    server: Server, admin: httpx.Client, worker: Worker, tmp_path: Path
) -> None:
    token = admin.headers["Authorization"].removeprefix("Bearer ")
    args = {
        "url": server.url,
        "token": token,
        "kinds": ["patch.ended"],
        "state_file": str(tmp_path / "seq"),
    }

    def order() -> str:
        asked = {"agent_id": worker.agent.id, "mode": "apply"}
        name: str = admin.post("/api/patches", json=asked).raise_for_status().json()["id"]
        return name

    order()  # before anybody listened
    wait_for_end(admin, worker)
    assert heard(args, 0) == []
    orders = [order()]
    first = heard(args, 1)
    orders += [order(), order()]
    rest = heard(args, 2)
    assert [one["nanny"]["detail"]["operation_id"] for one in first + rest] == orders
    assert first[0]["nanny"]["kind"] == "patch.ended"
    assert first[0]["nanny"]["detail"]["outcome"] == "ok"
    assert first[0]["meta"]["hosts"] == ["pve1"]
    assert len({one["meta"]["uuid"] for one in first + rest}) == 3


def wait_for_end(admin: httpx.Client, worker: Worker) -> None:
    deadline = time.monotonic() + 60
    while admin.get("/api/patches", params={"agent_id": worker.agent.id, "status": "completed"}).json()["total"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def heard(args: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Run the source as ansible-rulebook does until so many events came, then kill it; nothing more may come."""
    spec = importlib.util.spec_from_file_location("nanny_events", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    source = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(source)

    async def go() -> list[dict[str, Any]]:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        running = asyncio.create_task(source.main(queue, args))
        try:
            while not Path(args["state_file"]).exists():
                await asyncio.sleep(0.1)
            found = [await asyncio.wait_for(queue.get(), 60) for _ in range(count)]
            await asyncio.sleep(0.5)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert queue.empty()
        return found

    return asyncio.run(go())
