"""The recorded installation as a state of the lab."""

import random
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from nanny_ops.lab.pve import certificate, routes
from nanny_ops.lab.pve.api import Api
from nanny_ops.lab.pve.state.access import Access, Grant, Token, User
from nanny_ops.lab.pve.state.cluster import Cluster
from nanny_ops.lab.pve.state.guest import Figures, Guest
from nanny_ops.lab.pve.state.node import GIB, Node
from nanny_ops.lab.pve.state.pool import Pool
from nanny_ops.lab.pve.state.storage import Storage, Volume, local
from nanny_ops.lab.pve.state.task import Hurried, Tasks
from tests.integration.conformance import rig_guest
from tests.integration.conformance.naming import Naming

NOW = 1_795_296_000.0
SECRET, PASSWORD = "00000000-0000-4000-8000-000000000000", "example-password"
#: Token -> privilege separation, expiry, comment.
TOKENS = {
    "8.4": {
        "root@pam!rig": (False, 0, ""),
        "root@pam!sep": (True, 0, ""),
        "agent@pve!mon": (False, 0, "monitoring"),
        "agent@pve!nopriv": (True, 0, ""),
        "agent@pve!expired": (False, 1_600_000_000, ""),
        "disabled@pve!t1": (False, 0, ""),
        "limited@pve!t1": (False, 0, ""),
    },
    "9.2": {"root@pam!rig": (False, 0, ""), "agent@pve!mon": (False, 0, ""), "agent@pve!nopriv": (True, 0, "")},
}
OPERATOR = "Datastore.Audit Sys.Audit VM.Audit VM.Backup VM.PowerMgmt VM.Snapshot VM.Snapshot.Rollback"


class Unwritten:
    """Keeps no configuration files."""

    def write(self, guest: Guest) -> None:
        pass

    def remove(self, guest: Guest) -> None:
        pass


@dataclass
class Rig:
    """One fresh installation, and what it calls things."""

    release: str
    naming: Naming
    api: Api

    @property
    def cluster(self) -> Cluster:
        return self.api.cluster

    def node(self, name: str) -> Node:
        """Return a node by its recorded name."""
        return self.cluster.nodes[self.naming.name(name)]

    def guest(self, vmid: int) -> Guest:
        """Return a guest by its recorded id; 9.2 has its own, 200 higher than those of 8.4."""
        return self.cluster.guests[self.naming.vmid(vmid if self.release == "8.4" or vmid >= 300 else vmid + 200)]

    def start(self, vmid: int) -> None:
        self.cluster.power.start(self.guest(vmid))

    def stop(self, vmid: int) -> None:
        self.cluster.power.stop(self.guest(vmid))


def build(release: str, naming: Naming) -> Rig:
    """Return a fresh rig of a release."""
    names = ("pve1", "pve2") if release == "8.4" else ("pve3",)
    nodes = {}
    for number, name in enumerate(names, 1):
        host = 11 if name == "pve1" else 12 if name == "pve2" else 13
        nodes[naming.name(name)] = Node(
            naming.name(name), number, f"10.88.0.{host}", memory=16 * GIB, booted=NOW - 1200, fingerprint="AA:BB"
        )
    power = Figures(lambda: NOW)
    cluster = Cluster(naming.name("rigcluster"), release, nodes, power, Unwritten())
    cluster.storages = {storage.name: storage for storage in _storages(release, naming)}
    members = {101, 102, 200} if release == "8.4" else {301, 302}
    pool = Pool(naming.name("production"), "prod guests" if release == "8.4" else "", {naming.vmid(v) for v in members})
    cluster.pools = {pool.poolid: pool}
    api = Api(
        cluster,
        _access(release, naming),
        Tasks(lambda: NOW, Hurried(), lambda work: work()),
        routes.ROUTES,
        lambda: NOW,
        dice=random.Random(1),
    )
    rig = Rig(release, naming, api)
    rig_guest.add(cluster, naming)
    api.certificates = {name: [certificate.describe(*pem) for pem in _certificates()] for name in nodes}
    return rig


@lru_cache(maxsize=1)
def _certificates() -> tuple[tuple[str, bytes], ...]:
    """Make an authority and one certificate, which all nodes of all rigs share: making them is slow."""
    with tempfile.TemporaryDirectory() as directory:
        authority = certificate.Authority(Path(directory))
        _, pem = authority.issue("pve1")
        return ("pve-root-ca.pem", authority.root_pem), ("pve-ssl.pem", pem)


def _storages(release: str, naming: Naming) -> list[Storage]:
    where = (naming.name("pve1"),) if release == "8.4" else ()
    made = Storage(
        naming.name("btr"), "btrfs", "/var/lib/rigbtrfs", ("images", "rootdir"), where, options={"is_mountpoint": "1"}
    )
    made.usage = dict.fromkeys(where, (3 * GIB, GIB // 3)) or {naming.name("pve3"): (2 * GIB, GIB // 3)}
    first = local()
    template = Volume("local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst", "vztmpl", "tzst", 83_406_748, int(NOW))
    first.volumes = {naming.name("pve1" if release == "8.4" else "pve3"): [template]}
    return [first, made]


def _access(release: str, naming: Naming) -> Access:
    access = Access(release)
    access.users["root@pam"].password = PASSWORD
    users = ["agent@pve", "limited@pve", "disabled@pve"] if release == "8.4" else ["agent@pve"]
    for userid in users:
        access.users[naming.name(userid)] = User(naming.name(userid), PASSWORD, enabled=userid != "disabled@pve")
    if release == "8.4":
        agent = access.users[naming.name("agent@pve")]
        agent.comment, agent.email = "patch agent", "agent@example.org"
        access.custom = {
            naming.name("RigOperator"): frozenset(OPERATOR.split()),
            naming.name("RigAuditVM"): frozenset({"VM.Audit"}),
        }
        path = f"/vms/{naming.vmid(101)}"
        access.grants.append(Grant(path, naming.name("limited@pve"), naming.name("RigOperator")))
    access.grants.append(Grant("/", naming.name("agent@pve"), "PVEAuditor"))
    for token_id, (privsep, expire, comment) in TOKENS[release].items():
        named = naming.name(token_id)
        access.tokens[named] = Token(named, SECRET, privsep, expire, comment)
    return access
