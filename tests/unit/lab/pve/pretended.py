"""A small pretended cluster in memory, and a way to ask it without a network."""

import json
import random
from dataclasses import dataclass, field
from typing import Any

from nanny_ops.lab.pve import routes
from nanny_ops.lab.pve.api import Api
from nanny_ops.lab.pve.server import Reply, Request
from nanny_ops.lab.pve.state.access import Access, Grant, Token, User
from nanny_ops.lab.pve.state.cluster import Cluster
from nanny_ops.lab.pve.state.draft import draft
from nanny_ops.lab.pve.state.guest import Figures, Guest
from nanny_ops.lab.pve.state.node import Node
from nanny_ops.lab.pve.state.task import Hurried, Tasks

NOW = 2_000_000_000.0
ADMIN, AUDITOR, POWERLESS, LIMITED = "root@pam!rig", "agent@pve!mon", "agent@pve!nopriv", "limited@pve!t1"


@dataclass
class Memory:
    """Keeps which guests were written and removed."""

    written: list[tuple[int, str]] = field(default_factory=list)
    removed: list[tuple[int, str]] = field(default_factory=list)

    def write(self, guest: Guest) -> None:
        self.written.append((guest.vmid, guest.node))

    def remove(self, guest: Guest) -> None:
        self.removed.append((guest.vmid, guest.node))


def inline() -> Tasks:
    """Tasks that are over when their UPID is answered."""
    return Tasks(lambda: NOW, Hurried(), lambda work: work())


def cluster(release: str = "8.4", nodes: int = 2) -> Cluster:
    made = Cluster(
        "rigcluster",
        release,
        {
            f"pve{n}": Node(f"pve{n}", n, f"10.88.0.{10 + n}", booted=NOW - 1000, fingerprint="AA:BB")
            for n in range(1, nodes + 1)
        },
        Figures(lambda: NOW),
        Memory(),
    )
    made.create(draft(101, "lxc", "pve1", "web1", tags=("web", "prod")))
    made.create(draft(103, "lxc", "pve1", "batch1"))
    made.create(draft(105, "lxc", "pve1", "tmpl", template=1))
    made.create(draft(203, "qemu", "pve1", "vm1"))
    if nodes > 1:
        made.create(draft(104, "lxc", "pve2", "app1"))
    for vmid in (101, 203):
        made.power.start(made.guests[vmid])
    return made


@dataclass
class Asking:
    """Asks an API as a client of node pve1 does."""

    api: Api

    def reply(self, method: str, path: str, token: str = ADMIN, body: bytes = b"", **headers: str) -> Reply:
        kind = {"content-type": "application/x-www-form-urlencoded"}
        heads = kind | {"authorization": f"PVEAPIToken={token}=secret"} | headers
        return self.api.answer("pve1", Request(method, f"/api2/json{path}", heads, body))

    def get(self, path: str, token: str = ADMIN) -> Any:
        reply = self.reply("GET", path, token)
        assert (reply.status, reply.reason) == (200, "OK")
        return json.loads(reply.body)["data"]

    def refusal(self, method: str, path: str, token: str = ADMIN, body: bytes = b"") -> tuple[int, str]:
        reply = self.reply(method, path, token, body)
        assert reply.status != 200
        return reply.status, reply.reason

    def task(self, path: str, token: str = ADMIN, method: str = "POST") -> str:
        """Begin a task and return what it came to."""
        reply = self.reply(method, path, token)
        assert reply.status == 200, reply.reason
        upid = json.loads(reply.body)["data"]
        status = self.get(f"/nodes/{upid.split(':')[1]}/tasks/{upid}/status")
        assert status["status"] == "stopped"
        return str(status["exitstatus"])


def rights(release: str = "8.4") -> Access:
    made = Access(release)
    for userid in ("agent@pve", "limited@pve", "disabled@pve"):
        made.users[userid] = User(userid, enabled=userid != "disabled@pve")
    for token_id in (ADMIN, AUDITOR, POWERLESS, LIMITED, "disabled@pve!t1"):
        made.tokens[token_id] = Token(token_id, "secret", privsep=token_id == POWERLESS)
    made.custom["Operator"] = frozenset({"VM.Audit", "VM.PowerMgmt"})
    made.grants += [Grant("/", "agent@pve", "PVEAuditor"), Grant("/vms/101", "limited@pve", "Operator")]
    return made


def asking(release: str = "8.4", nodes: int = 2) -> Asking:
    made = cluster(release, nodes)
    return Asking(Api(made, rights(release), inline(), routes.ROUTES, lambda: NOW, dice=random.Random(1)))
