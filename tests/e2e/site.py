"""A whole installation in real processes: a control plane, agents on nodes of a lab, a proxy before each agent."""

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from nanny_ops.lab import demo_guest
from nanny_ops.lab.lab import Lab, LabNode
from nanny_ops.lab.lxc import Container
from nanny_ops.machine.run import Done, run
from nanny_ops.protocol.operation import ENDED
from tests.e2e.agent_process import AgentProcess
from tests.e2e.cutting_proxy import CuttingProxy
from tests.integration.control.conftest import make_server, sign_in

#: Seconds for one program in a container, and for an operation to reach its end.
INSIDE, END = 60, 90
PAUSE = 0.1
#: Control planes that start at once: each keeps a core busy for some seconds, and has a deadline.
STARTS = threading.BoundedSemaphore(os.cpu_count() or 1)


@dataclass(frozen=True)
class Post:
    """One agent with the proxy through which it speaks, and the container of its node."""

    agent: AgentProcess
    proxy: CuttingProxy
    vmid: int


@dataclass
class Site:
    """A control plane below ``directory`` and one agent per node; use :meth:`open` and :meth:`close`."""

    lab: Lab
    directory: Path
    nodes: list[LabNode]
    #: Settings of the control plane and of the agents beside the usual ones.
    plane_settings: dict[str, str] = field(default_factory=dict)
    agent_settings: dict[str, str] = field(default_factory=dict)
    posts: list[Post] = field(default_factory=list)
    people: dict[str, httpx.Client] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing runs yet."""
        self.directory.mkdir(parents=True)
        self.server = make_server(self.directory / "data", **self.plane_settings)

    @property
    def operator(self) -> httpx.Client:
        """A client that may order."""
        return self.people["operator"]

    @property
    def post(self) -> Post:
        """The agent of the first node."""
        return self.posts[0]

    def open(self) -> None:
        """Start the control plane, then enrol and start the agents, all at once."""
        self.start_plane()
        self.people = {role: sign_in(self.server, role) for role in ("operator", "viewer")}
        for node in self.nodes:
            proxy = CuttingProxy(lambda: self.server.port)
            proxy.start()
            agent = AgentProcess(self.lab, node, self.directory / node.name, proxy.url, self.agent_settings)
            self.posts.append(Post(agent, proxy, self._vmid(node)))
        with ThreadPoolExecutor(len(self.posts)) as threads:
            list(threads.map(self._enlist, self.posts))

    def start_plane(self) -> None:
        """Start the control plane, for the first time or again, and wait until it is ready."""
        with STARTS:
            self.server.start()

    def close(self) -> None:
        """End everything that was started here, whatever happens on the way."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.server.kill)
            stack.callback(self.server.stop)
            for person in self.people.values():
                stack.callback(person.close)
            for post in self.posts:
                stack.callback(post.proxy.close)
                stack.callback(post.agent.close)

    def container(self, vmid: int) -> Container:
        """Return a real container."""
        found = self.lab.guest(vmid)
        assert isinstance(found, Container)
        return found

    def renew(self, vmid: int) -> None:
        """Make a container anew from the image: running, the first versions installed, the second ones offered."""
        container = self.container(vmid)
        container.destroy()
        container.create(demo_guest.prepared_image(self.lab.cache), self.lab.cluster.guests[vmid].name)
        container.start()

    def inside(self, vmid: int, *argv: str, check: bool = True) -> Done:
        """Run a program in a container, past the agent."""
        container = self.container(vmid)
        attach = ["lxc-attach", "--lxcpath", str(container.path), "--name", container.name, "--clear-env", "--"]
        plain = ["env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
        done = run([*attach, *plain, *argv], timeout=INSIDE, cwd="/")
        assert not check or done.exit_code == 0, done
        return done

    def upload(self, content: str, name: str = "") -> str:
        """Add a script and return its id."""
        body = {"name": name or f"test-{uuid.uuid4().hex[:8]}", "content": content}
        answer = self.operator.post("/api/scripts", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def order(self, post: Post | None = None, *, mode: str = "apply", **fields: Any) -> dict[str, Any]:
        """Order a patch in the container of an agent's node and return the operation; ``vmid`` names another."""
        chosen = post or self.post
        body = {"agent_id": chosen.agent.id, "mode": mode, "vmid": str(chosen.vmid), **fields}
        answer = self.operator.post("/api/patches", json=body)
        assert answer.status_code == 201, answer.text
        operation: dict[str, Any] = answer.json()
        return operation

    def look(self, operation_id: str) -> dict[str, Any]:
        """Return an operation as it stands."""
        answer = self.operator.get(f"/api/patches/{operation_id}")
        assert answer.status_code == 200, answer.text
        operation: dict[str, Any] = answer.json()
        return operation

    def wait_for(
        self, operation: dict[str, Any], statuses: Iterable[str] = tuple(ENDED), deadline: float = END
    ) -> dict[str, Any]:
        """Wait until an operation has one of these statuses, by default any end; a control plane that is away waits."""
        wanted, found = {str(status) for status in statuses}, operation
        ends = time.monotonic() + deadline
        while found["status"] not in wanted:
            assert time.monotonic() < ends, f"still {found['status']}: {found}\n{self.logs()}"
            time.sleep(PAUSE)
            with contextlib.suppress(httpx.TransportError):
                found = self.look(operation["id"])
        return found

    def carry_out(self, post: Post | None = None, **fields: Any) -> dict[str, Any]:
        """Order a patch and return the operation at its end."""
        return self.wait_for(self.order(post, **fields))

    def rows(self, address: str, **query: Any) -> list[dict[str, Any]]:
        """Return the items of a list, as an operator reads it."""
        answer = self.operator.get(address, params=query)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def output(self, operation: dict[str, Any], stream: str = "stdout") -> str:
        """Return what the script printed, as an operator reads it."""
        answer = self.operator.get(f"/api/patches/{operation['id']}/{stream}")
        assert answer.status_code == 200, answer.text
        return answer.text

    def logs(self) -> str:
        """Return the ends of all logs, for the message of a failure."""
        told = [f"--- {post.agent.node.name}\n{post.agent.log()[-3000:]}" for post in self.posts]
        return "\n".join([*told, f"--- control plane\n{self.server.log()[-3000:]}"])

    def _vmid(self, node: LabNode) -> int:
        """Return a container of a node, a real one where there are any."""
        found = self.lab.real_vmids() or [one.vmid for one in self.lab.cluster.list_guests(kind="lxc")]
        return next(vmid for vmid in found if self.lab.cluster.guests[vmid].node == node.name)

    def _enlist(self, post: Post) -> None:
        post.agent.register(self._authorise)
        post.agent.start()

    def _authorise(self, user_code: str) -> None:
        answer = self.operator.post("/api/auth", json={"action": "authorize", "user_code": user_code})
        assert answer.status_code == 200, answer.text


def until(true: Callable[[], object], what: str, deadline: float = 30.0) -> None:
    """Wait until something holds, asked every tenth of a second; ``what`` names it in the message of a failure."""
    ends = time.monotonic() + deadline
    while not true():
        assert time.monotonic() < ends, f"not within {deadline:.0f} s: {what}"
        time.sleep(PAUSE)
