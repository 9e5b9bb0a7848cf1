"""An agent that updates itself, life after life: versions, a spool, and processes that can be killed anywhere."""

import asyncio
import hashlib
import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from nanny_ops.agent.operations.update import Update
from nanny_ops.agent.spool import Spool
from nanny_ops.agent.trial import Ground, watch
from nanny_ops.agent.worker import Worker
from nanny_ops.machine import staging, trial
from nanny_ops.machine.perform_update import perform_update
from nanny_ops.machine.policy import Policy
from nanny_ops.machine.trusted_keys import TrustedKey
from nanny_ops.machine.update_verbs import TryUpdate
from nanny_ops.machine.verbs import SignatureCheck, VerifySignature
from nanny_ops.protocol.signature import encode, key_id
from tests.fakes.control_plane import AGENT, OPEN, FakeControlPlane, make_equipment
from tests.fakes.release import archive
from tests.fakes.versions import FakeRun, make_prefix

KEY = TrustedKey(key_id=key_id(bytes(32)), public_key=encode(bytes(32)), origin="offline", how="file")
CONTENT = archive("2.0", {"requirements.txt": b"", "pip.whl": b"", "wheels/a.whl": bytes(200_000)})


class UpdatingAgent:
    """``healthy`` says whether the new version reaches the control plane, ``valid`` whether signatures hold."""

    def __init__(self, folder: Path, *, healthy: bool = True, valid: bool = True, self_test: str = "exit 0") -> None:
        self.folder, self.healthy, self.valid = folder, healthy, valid
        self.versions = make_prefix(folder / "prefix")
        trial.equip(self.versions)
        self.plane = FakeControlPlane(step=self.step)
        self.plane.rules.append(self.answer)
        self.run = FakeRun(self.versions.prefix, self_test=self_test)
        self.told: list[dict[str, Any]] = []
        self.record = self.order("update-1")
        self.policy = Policy(operations=frozenset({"update"}))
        self.content = CONTENT
        #: How the archive is answered, instead of whole.
        self.serve: Callable[[int], httpx.Response] | None = None
        self.steps, self.kill_at, self.dead = 0, 0, asyncio.Event()
        self.free = 2**40

    def order(self, order_id: str, **values: Any) -> dict[str, Any]:
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        given = {
            "id": order_id, "agent_id": AGENT, "release_id": "nanny-agent-2.0", "version": "2.0", "sha256": sha256,
            "size": len(CONTENT), "url": "/api/releases/nanny-agent-2.0/archive", "status": "pending", "force": False,
        }  # fmt: skip
        return self.plane.add({**given, **values})

    def answer(self, request: httpx.Request) -> httpx.Response | None:
        path = request.url.path
        if path.endswith("/archive"):
            begin = int(request.headers.get("range", "bytes=0-")[6:-1])
            whole = httpx.Response(206 if begin else 200, content=self.content[begin:])
            return whole if self.serve is None else self.serve(begin)
        if path.startswith("/api/releases/"):
            one = {"key_id": KEY.key_id, "signature": encode(bytes(64))}
            return httpx.Response(200, json={"algorithm": "ed25519", **one, "signatures": [one]})
        if path.startswith("/api/updates/"):
            order_id = path.split("/")[3]
            new = self.plane.operations[order_id]["status"] in OPEN
            self.plane.operations[order_id]["status"] = "completed"
            if new:
                self.told.append({"id": order_id, **json.loads(request.content)})
            return httpx.Response(200, json={"success": True, "new": new})
        return None

    def step(self, _name: str) -> None:
        self.steps += 1
        if self.steps == self.kill_at:
            self.dead.set()

    async def do(self, verb: Any) -> Any:
        """Be the hands of a process; one that was killed never hears the answer."""
        self.step("before")
        if self.dead.is_set():
            await asyncio.Event().wait()
        answer = self._do(verb)
        self.step("after")
        if self.dead.is_set():
            await asyncio.Event().wait()
        return answer

    def _do(self, verb: Any) -> Any:
        valid = SignatureCheck(valid=self.valid)
        if isinstance(verb, VerifySignature):
            return valid
        if isinstance(verb, TryUpdate):
            return staging.rehearse(verb, find=lambda: self.versions)
        stage = partial(
            staging.stage, run=self.run, verify=lambda _v: valid, processes=self.folder / "proc",
            free=lambda _folder: self.free,
        )  # fmt: skip
        return perform_update(verb, find=lambda: self.versions, owner=lambda: "", stage=stage)

    def live(self) -> bool:
        """Start a process as systemd does and let it live; False when it has nothing more to do."""
        subprocess.run([str(self.versions.prefix / trial.START)], check=True, timeout=20, capture_output=True)
        return asyncio.run(self._live())

    async def _live(self) -> bool:
        self.dead, again = asyncio.Event(), asyncio.Event()
        new = self.versions.current != "1.0"
        if new and not self.healthy:
            return True  # it crashes
        ground = Ground(running=self.versions.current, restart=again.set, folder=self.folder)
        equipment = make_equipment(self.plane, self, policy=self.policy, ground=ground, sleep=self._sleep)
        equipment.trust.local = [KEY]
        spool = Spool(self.folder / "spool.db", cap=10)
        worker = Worker(equipment, spool, (Update,))
        heard = asyncio.Event()
        heard.set()
        watching = asyncio.create_task(watch(self, ground, heard, self._sleep))
        worker.resume()
        for record in self.plane.open_records():
            worker.submit("update_operations", "create", record)
        ends = [asyncio.create_task(one) for one in (worker.idle(), again.wait(), self.dead.wait())]
        async with asyncio.timeout(20):
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for one in [*ends, watching]:
            one.cancel()
        await asyncio.wait([*ends, watching])
        await worker.close()
        await equipment.client.close()
        going = bool(spool.unfinished()) or self.dead.is_set() or again.is_set()
        spool.close()
        return going

    async def _sleep(self, _seconds: float) -> None:
        await asyncio.sleep(0)

    def until_done(self, most: int = 12) -> None:
        """Let process after process live until nothing is left to do."""
        for _ in range(most):
            if not self.live():
                return
        raise AssertionError("it never ends")

    @property
    def current(self) -> str:
        """The number of the version that starts next."""
        return self.versions.current.partition("-")[0]
