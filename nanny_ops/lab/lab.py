"""A lab: a pretended Proxmox VE cluster with real containers in it, opened and closed as one thing."""

import os
import secrets
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from nanny_ops.errors import SettingsError
from nanny_ops.lab import demo_guest, door, leftover, lxc, trouble
from nanny_ops.lab.apt_repository import AptRepository
from nanny_ops.lab.fleet import LabPlan, draw_guests, draw_nodes, stopped_at_first
from nanny_ops.lab.furniture import furnish
from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.inside import SimulatedInside
from nanny_ops.lab.lxc import Container
from nanny_ops.lab.power import LabPower
from nanny_ops.lab.pve import certificate, routes
from nanny_ops.lab.pve.api import Api
from nanny_ops.lab.pve.conf import ConfTree
from nanny_ops.lab.pve.fault import Faults
from nanny_ops.lab.pve.server import Reply, Request, Server
from nanny_ops.lab.pve.state.access import ROOT, Access, Grant, Token, User
from nanny_ops.lab.pve.state.cluster import Cluster
from nanny_ops.lab.pve.state.guest import Figures, Guest
from nanny_ops.lab.pve.state.guest_agent import Programs
from nanny_ops.lab.pve.state.task import Lifelike, Tasks
from nanny_ops.lab.simulated import SimulatedGuest

AGENT_TOKEN = "nanny@pve!agent"
ADMIN_TOKEN = "root@pam!lab"
POWERLESS_TOKEN = "nanny@pve!nopriv"
#: Program in a ``bin_dir`` -> the module that stands in for it, and its first arguments.
PROGRAMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "pct": ("pct", ()),
    "qm": ("qm", ()),
    "pvesh": ("pvesh", ()),
    "pvecm": ("pvecm", ("pvecm",)),
    "pveversion": ("pvecm", ("pveversion",)),
}


@dataclass(frozen=True)
class LabNode:
    """One node as a client needs it: its name, its API's address, and where its ``pct`` lies."""

    name: str
    url: str
    bin_dir: Path


@dataclass
class Lab:
    """A lab below ``directory``; use it as a context manager, or :meth:`open` and :meth:`close` it.

    With ``refusal_delay`` (seconds) tests make a 401 come at once. ``cache`` holds what outlives a lab.
    """

    plan: LabPlan
    directory: Path
    cache: Path = field(default_factory=lambda: cache_dir(dict(os.environ)))
    mirror: str = ""
    refusal_delay: float = 3.0
    lab_id: str = field(default_factory=lambda: secrets.token_hex(3))
    nodes: list[LabNode] = field(default_factory=list)
    #: What goes wrong between clients and nodes; add and clear while the lab is open.
    faults: Faults = field(default_factory=Faults)
    #: Seconds by which the installation's clock is ahead.
    skew: float = 0.0
    #: How long tasks take, as a part of what they take on a real node.
    pace: float = 0.1

    def __post_init__(self) -> None:
        """Draw the cluster; nothing is started."""
        self.plan.check()
        self.home = self.directory / f"lab-{self.lab_id}"
        self.prefix = f"nanny-{self.lab_id}"
        self.authority = certificate.Authority(self.home)
        self.power = LabPower(self.home, self.prefix, Figures(self.now))
        nodes = {node.name: node for node in draw_nodes(self.plan, self.now())}
        self.cluster = Cluster("labcluster", self.plan.version, nodes, self.power, ConfTree(self.home))
        self.access = _access(self.plan.version)
        self.tokens = self.access.tokens
        self.tasks = Tasks(self.now, Lifelike(self.pace))
        self.api = Api(self.cluster, self.access, self.tasks, routes.ROUTES, self.now, self.refusal_delay)
        self.inside = SimulatedInside(self.power)
        self.api.programs = Programs(self.inside, self.inside.spawn)
        self.server = Server()

    def __enter__(self) -> Self:
        """Open the lab."""
        self.open()
        return self

    def __exit__(self, *_failure: object) -> None:
        """Close the lab."""
        self.close()

    def open(self) -> None:
        """Make the guests, start them and the API. Raises SettingsError, MachineError; leaves nothing behind then."""
        if self.plan.real and (missing := lxc.missing()):
            raise SettingsError("Real containers are not possible here. " + " ".join(missing))
        self.home.mkdir(parents=True)
        leftover.LabRecord(self.lab_id, os.getpid(), leftover.start_ticks(os.getpid()), str(self.home)).write(
            self.cache
        )
        with _undo(self.close):
            self._make_guests()
            self._serve()

    def close(self) -> None:
        """Stop everything and remove it; safe to call twice."""
        self.tasks.close()
        self.inside.close()
        self.server.close()
        leftover.clear(self.home)
        leftover.LabRecord(self.lab_id, 0, 0, "").forget(self.cache)

    def now(self) -> float:
        """Return what the installation takes for the time, in seconds of the epoch."""
        return time.time() + self.skew

    def cause(self, *faults: str) -> None:
        """Let faults come over the lab, by the words of ``lab up --fault``. Raises SettingsError."""
        for text in faults:
            trouble.cause(self, trouble.parse(text))

    @property
    def ca_file(self) -> Path:
        """Return the file with the certificate of the cluster's authority."""
        return self.authority.file

    @property
    def token_id(self) -> str:
        """Return the token made for an agent: the role PVEAuditor at the top."""
        return AGENT_TOKEN

    @property
    def token_secret(self) -> str:
        """Return that token's secret."""
        return self.tokens[AGENT_TOKEN].secret

    def guest(self, vmid: int) -> Container | SimulatedGuest:
        """Return what stands behind a container; its ``rootfs`` is the directory of its files."""
        return self.power.hands(self.cluster.guests[vmid])

    def repository(self, vmid: int) -> AptRepository:
        """Return the apt repository inside a real container, to add packages to; run ``apt-get update`` there after."""
        return AptRepository(demo_guest.repository_in(self.guest(vmid).rootfs))

    def real_vmids(self) -> list[int]:
        """Return the ids of the real containers."""
        return [guest.vmid for guest in self.cluster.list_guests(kind="lxc") if guest.real]

    def start(self, vmid: int) -> None:
        """Start a guest."""
        self.power.start(self.cluster.guests[vmid])

    def stop(self, vmid: int) -> None:
        """Stop a guest at once."""
        self.power.stop(self.cluster.guests[vmid])

    def migrate(self, vmid: int, node: str) -> None:
        """Let a guest live on another node from now on."""
        self.cluster.migrate(vmid, node)

    def destroy(self, vmid: int) -> None:
        """Remove a guest."""
        self.stop(vmid)
        self.cluster.destroy(vmid)

    def announcement(self) -> dict[str, Any]:
        """Return what ``lab up`` prints when ready."""
        admin = self.tokens[ADMIN_TOKEN]
        return {
            "url": self.nodes[0].url,
            "token_id": self.token_id,
            "token_secret": self.token_secret,
            "ca_file": str(self.ca_file),
            "bin_dir": str(self.nodes[0].bin_dir),
            "real": bool(self.real_vmids()),
            "admin_token_id": admin.token_id,
            "admin_token_secret": admin.secret,
            "nodes": [{"name": node.name, "url": node.url, "bin_dir": str(node.bin_dir)} for node in self.nodes],
            "guests": [self._announce(guest) for guest in self.cluster.list_guests()],
        }

    def _announce(self, guest: Guest) -> dict[str, Any]:
        how = "figures" if guest.kind == "qemu" else "container" if guest.real else "simulated"
        return {"vmid": guest.vmid, "kind": guest.kind, "node": guest.node, "name": guest.name, "behind": how}

    def _make_guests(self) -> None:
        (self.home / "lxc").mkdir()
        # Simulated guests of a lab that root opens run as nobody, who must be able to reach their directories.
        elsewhere = Path(tempfile.mkdtemp(prefix=f"{self.prefix}-simulated-"))
        (self.home / "simulated").symlink_to(elsewhere)
        elsewhere.chmod(0o711)
        for node in self.cluster.nodes:
            (self.home / "nodes" / node / "lxc").mkdir(parents=True)
        image = demo_guest.prepared_image(self.cache, self.mirror) if self.plan.real else None
        for guest in draw_guests(self.plan):
            self.cluster.create(guest)
            if guest.real and image is not None:
                self.power.container(guest.vmid).create(image, guest.name)
            elif guest.kind == "lxc":
                demo_guest.make_simulated(self.power.simulated(guest.vmid), guest.name)
            if not stopped_at_first(guest):
                self.power.start(guest)
        furnish(self.cluster, self.plan.seed, self.now())

    @property
    def address(self) -> str:
        """Return the address on which the API serves."""
        return "127.0.0.1"

    def _names(self, _node: str) -> tuple[str, ...]:
        """Return further names and addresses for a node's certificate."""
        return ()

    def _serve(self) -> None:
        self.authority.write()
        self.server.start()
        for name, node in self.cluster.nodes.items():
            context, pem = self.authority.issue(name, *self._names(name))
            node.fingerprint = certificate.fingerprint(pem)
            described = [("pve-root-ca.pem", self.authority.root_pem), ("pve-ssl.pem", pem)]
            self.api.certificates[name] = [certificate.describe(filename, found) for filename, found in described]
            port = self.server.listen(self.faults.around(name, self.api.node(name)), context, self.address)
            self.nodes.append(LabNode(name, f"https://{self.address}:{port}", self._write_programs(name)))
        self._open_door()

    def _open_door(self) -> None:
        """Serve the programs in the ``bin_dirs``: as root, on a port of their own that no fault lies on."""
        password = self.access.users[ROOT].password = secrets.token_urlsafe(24)
        nodes = {name: self.api.node(name) for name in self.cluster.nodes}
        first = next(iter(nodes))
        context, _ = self.authority.issue(first, *self._names(first))

        def answer(request: Request) -> Reply:
            if request.target.startswith(door.UNLOCK):
                given = request.headers.get(door.PASSWORD_HEADER.lower(), "")
                return self._unlock(int(request.target.removeprefix(door.UNLOCK)), given, password)
            return nodes[request.headers[door.NODE_HEADER.lower()]](request)

        port = self.server.listen(answer, context, self.address)
        door.Key(port, str(self.ca_file), password, self.plan.version, self.address).write(self.home)

    def _unlock(self, vmid: int, given: str, password: str) -> Reply:
        if not secrets.compare_digest(given, password):
            return Reply(403, "only for the lab's own programs", b"")
        self.cluster.update(vmid, lock=None)
        return Reply(200, "OK", b"{}")

    def _write_programs(self, node: str) -> Path:
        directory = self.home / "bin" / node
        directory.mkdir(parents=True)
        for program, (module, first) in PROGRAMS.items():
            python = [sys.executable, "-I", "-m", f"nanny_ops.lab.{module}"]
            fixed = [*python, str(self.home), node, self.prefix, *first]
            script = directory / program
            script.write_text(f'#!/bin/sh\nunset PWD\nexec {shlex.join(fixed)} "$@"\n')
            script.chmod(0o755)
        return directory


def _access(release: str) -> Access:
    """Return who may use a lab: an agent that may look, an administrator, and a token that may nothing."""
    access = Access(release)
    access.users["nanny@pve"] = User("nanny@pve")
    for token_id, privsep in ((AGENT_TOKEN, False), (ADMIN_TOKEN, False), (POWERLESS_TOKEN, True)):
        access.tokens[token_id] = Token(token_id, secrets.token_urlsafe(24), privsep=privsep)
    access.grants.append(Grant("/", "nanny@pve", "PVEAuditor"))
    return access


@contextmanager
def _undo(close: Any) -> Iterator[None]:
    """Close what was half opened when opening fails or is interrupted."""
    done = False
    try:
        yield
        done = True
    finally:
        if not done:
            close()
