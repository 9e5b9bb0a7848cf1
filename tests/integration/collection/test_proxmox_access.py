"""Access that the module makes on labs of both releases: what an agent can do with it, what not, drift, its end."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.nanny.ops.plugins.module_utils.pve_access import WORKS, privileges
from ansible_collections.nanny.ops.plugins.module_utils.pve_api import Pve, PveError
from ansible_collections.nanny.ops.plugins.modules.proxmox_access import SPEC, work

from nanny_ops.errors import ProxmoxForbidden, ProxmoxUnauthorized
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import ADMIN_TOKEN, Lab
from nanny_ops.lab.pve.state.access import Grant
from nanny_ops.lab.pve.state.storage import Storage
from nanny_ops.machine.proxmox import backup, guest_agent, power, snapshot
from nanny_ops.machine.proxmox.client import Client
from nanny_ops.machine.proxmox.power import Guest
from nanny_ops.machine.proxmox.reader import Reader
from nanny_ops.machine.verbs import ProxmoxAccess, ReadProxmox
from tests.house.tree import ROOT

CONTAINER, MACHINE = Guest("pve1", "lxc", 101), Guest("pve1", "qemu", 201)
DAY = 86400
LOOK = ["Datastore.Audit", "Pool.Audit", "Sys.Audit", "VM.Audit"]
SEEING = ["updates", "backup_age", "guest_agents"]
JOBS = ["snapshots", "backups", "power", "machines"]


@pytest.fixture(scope="module", params=["8.4", "9.2"])
def whole_lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    plan = LabPlan(nodes=1, guests=6, real=0, version=request.param)
    cache = tmp_path_factory.mktemp("cache")
    with Lab(plan, tmp_path_factory.mktemp("lab"), cache=cache, refusal_delay=0.05, pace=0.02) as made:
        made.cluster.storages["fast"] = Storage("fast", "btrfs", "/srv/fast")
        made.cluster.update(CONTAINER.vmid, rootfs=f"fast:{CONTAINER.vmid}/vm-{CONTAINER.vmid}-disk-0.raw,size=4G")
        yield made


class Cluster:
    """A lab, its administrator, and the module as that one runs it."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.access = lab, lab.access
        secret = lab.tokens[ADMIN_TOKEN].secret
        self.admin = Pve(lab.nodes[0].url, "root@pam", token_id="lab", token_secret=secret, verify=str(lab.ca_file))

    def have(self, *, now: float | None = None, check: bool = False, **options: Any) -> dict[str, Any]:
        chosen = {name: spec.get("default") for name, spec in SPEC.items()} | {"user": "own@pve", "token": "pve1"}
        at = self.lab.now() if now is None else now
        told: dict[str, Any] = work(chosen | options, self.admin, at, check)
        return told

    def client(self, told: dict[str, Any]) -> ProxmoxAccess:
        token = f"{told['token_id']}={told['secret']}"
        return ProxmoxAccess(url=self.lab.nodes[0].url, token=token, ca_file=str(self.lab.ca_file))

    def read(self, told: dict[str, Any]) -> dict[str, tuple[str, str]]:
        """Return what became of each section of one cycle, with the privilege that was lacking."""
        access = self.client(told)
        with Client(access) as client:
            found = Reader(client).read(ReadProxmox(access=access, seconds=20.0))
        return {one["section"]: (one["state"], one.get("privilege", "")) for one in found.values["facts"]}

    def take(self, role: str, privilege: str) -> None:
        self.access.custom[role] -= {privilege}


@pytest.fixture
def cluster(whole_lab: Lab) -> Iterator[Cluster]:
    made = Cluster(whole_lab)
    yield made
    for token in [name.partition("!")[2] for name in made.access.tokens if name.startswith("own@")]:
        made.have(state="absent", token=token)
    assert "own@pve" not in made.access.users


def test_the_documented_privileges_are_those_that_are_granted() -> None:
    page = (ROOT / "docs/ansible.md").read_text()
    rows = re.findall(r"^\| (?:always|`(?:look|jobs): (\w+)`) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    documented = {work or "look": (eight, eight if nine == "the same" else nine) for work, eight, nine in rows}
    assert documented.keys() == WORKS.keys()
    for name, spelled in documented.items():
        for text, release in zip(spelled, ("8.4", "9.2"), strict=True):
            named = sorted(re.findall(r"`((?:Sys|VM|Datastore|Pool)\.[\w.]+)`", text))
            assert named == privileges((name,), release), name


def of_release(lab: Lab, nine: str) -> str:
    return "VM.Monitor" if lab.plan.version == "8.4" else nine


def test_check_mode_tells_and_makes_nothing(cluster: Cluster) -> None:
    told = cluster.have(check=True, may=["snapshots"])
    assert told["changed"]
    assert told["changes"][:3] == ["make the role NannyLook", "make the user own@pve", "make the token own@pve!pve1"]
    assert told["diff"]["before"]["roles"] == {}
    assert told["diff"]["after"]["roles"] == {"NannyLook": sorted([*LOOK, "VM.Snapshot"])}
    assert "own@pve" not in cluster.access.users
    assert "NannyLook" not in cluster.access.custom


def test_what_was_made_is_just_that_and_stays(cluster: Cluster) -> None:
    made = cluster.have()
    held = cluster.admin.ask("get", "access/permissions", userid=made["token_id"])
    assert set(held) == {"/", "/nodes", "/pool", "/storage", "/vms"}
    assert held["/"] == dict.fromkeys(LOOK, 0)
    assert held["/vms"] == dict.fromkeys(LOOK, 1)
    assert cluster.access.tokens["own@pve!pve1"].privsep
    again = cluster.have()
    assert (again["changes"], again["changed"], again["secret"]) == ([], False, None)
    assert again["diff"]["before"] == again["diff"]["after"]


def test_who_may_only_look_reads_everything_but_what_is_said(cluster: Cluster) -> None:
    found = cluster.read(cluster.have())
    forbidden = {section: privilege for section, (state, privilege) in found.items() if state == "forbidden"}
    assert forbidden == {
        "node.updates": "Sys.Modify",
        "guest.backup": "Datastore.AllocateSpace",
        "guest.agent": of_release(cluster.lab, "VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted"),
    }
    assert {state for state, _ in found.values()} <= {"ok", "absent", "forbidden"}


def test_who_may_see_all_is_forbidden_nothing(cluster: Cluster) -> None:
    made = cluster.have(may=SEEING)
    assert {state for state, _ in cluster.read(made).values()} <= {"ok", "absent"}
    roles = cluster.admin.ask("get", "access/permissions", userid=made["token_id"])
    assert [path for path, held in roles.items() if "Sys.Modify" in held] == ["/nodes"]


@pytest.mark.parametrize(
    ("privilege", "section"),
    [("Sys.Audit", "cluster"), ("VM.Audit", "guests"), ("Datastore.Audit", "storages")],
)
def test_a_privilege_that_looking_lacks_is_named(cluster: Cluster, privilege: str, section: str) -> None:
    made = cluster.have()
    cluster.take("NannyLook", privilege)
    state, lacking = cluster.read(made)[section]
    assert (state, lacking) == ("forbidden", privilege)


def protect(api: Client) -> None:
    made = snapshot.create(api, CONTAINER, "tried", "by a test")
    snapshot.rollback(api, CONTAINER, made.name, run_after=False)
    snapshot.delete(api, CONTAINER, made.name)


def keep(api: Client) -> None:
    backup.dump(api, CONTAINER, "local", may_freeze=True)


def switch(api: Client) -> None:
    power.stop(api, CONTAINER)
    power.start(api, CONTAINER)


def enter(api: Client) -> None:
    assert guest_agent.run(api, MACHINE, ["true"], seconds=20).exit_code == 0


DONE: dict[str, tuple[Callable[[Client], None], tuple[str, ...]]] = {
    "snapshots": (protect, ("VM.Snapshot",)),
    "backups": (keep, ("VM.Backup", "Datastore.AllocateSpace")),
    "power": (switch, ("VM.PowerMgmt",)),
    "machines": (enter, ("VM.GuestAgent.Unrestricted",)),
}


@pytest.mark.parametrize("granted", JOBS)
def test_jobs_can_do_what_was_granted_and_what_is_lacking_is_named(cluster: Cluster, granted: str) -> None:
    made = cluster.have(may=[granted, "power"] if granted == "snapshots" else [granted])
    do, needed = DONE[granted]
    with Client(cluster.client(made)) as api:
        do(api)
        for one in needed:
            cluster.take("NannyLook", lacking := of_release(cluster.lab, one) if "GuestAgent" in one else one)
            with pytest.raises(ProxmoxForbidden) as refused:
                do(api)
            assert lacking in str(refused.value.details["privilege"])
            cluster.have(may=[granted])


@pytest.mark.parametrize("granted", JOBS)
def test_jobs_cannot_do_what_was_not_granted(cluster: Cluster, granted: str) -> None:
    made = cluster.have(may=[one for one in JOBS if one != granted])
    with Client(cluster.client(made)) as api, pytest.raises(ProxmoxForbidden):
        DONE[granted][0](api)


def test_guests_can_be_limited(cluster: Cluster) -> None:
    made = cluster.have(may=["power"], guests=["/vms/102"])
    with Client(cluster.client(made)) as api:
        power.start(api, Guest("pve1", "lxc", 102))
        with pytest.raises(ProxmoxForbidden):
            power.stop(api, CONTAINER)


def test_drift_is_told_exactly_and_mended(cluster: Cluster) -> None:
    made = cluster.have()
    cluster.access.custom["NannyLook"] = frozenset({*LOOK, "Sys.Modify"} - {"Pool.Audit"})
    cluster.access.users["own@pve"].groups = ("admins",)
    cluster.access.tokens["own@pve!pve1"].privsep = False
    cluster.access.grants[:] = [one for one in cluster.access.grants if (one.path, one.who) != ("/nodes", "own@pve")]
    cluster.access.grants.append(Grant("/access", "own@pve!pve1", "PVEUserAdmin", "token"))
    told = cluster.have(check=True)
    assert told["changes"] == [
        "give Pool.Audit to the role NannyLook",
        "take Sys.Modify from the role NannyLook",
        "take the user own@pve out of the group admins",
        "separate the privileges of the token own@pve!pve1",
        "grant NannyLook on /nodes to own@pve",
        "take PVEUserAdmin on /access from own@pve!pve1",
    ]
    mended = cluster.have()
    assert (mended["changes"], mended["secret"]) == (told["changes"], None)
    assert not cluster.have()["changed"]
    with Client(cluster.client(made)) as api:
        assert api.get("version")["release"] == cluster.lab.plan.version


def test_a_secret_is_replaced_when_asked_and_in_time(cluster: Cluster) -> None:
    made = cluster.have(token_days=90)
    assert cluster.access.tokens["own@pve!pve1"].expire - cluster.lab.now() == pytest.approx(90 * DAY, abs=60)
    assert not cluster.have(token_days=90, now=cluster.lab.now() + 59 * DAY)["changed"]
    late = cluster.have(token_days=90, now=cluster.lab.now() + 61 * DAY)
    assert late["changes"][0] == "remove the token own@pve!pve1, it expires too soon"
    asked = cluster.have(token_days=90, rotate=True, now=cluster.lab.now() + 61 * DAY)
    assert len({made["secret"], late["secret"], asked["secret"], None}) == 4
    with Client(cluster.client(late)) as old, pytest.raises(ProxmoxUnauthorized):
        old.get("version")
    with Client(cluster.client(asked)) as new:
        assert new.get("cluster/status")
    assert cluster.have()["changes"] == ["set when the token own@pve!pve1 expires"]


def test_the_last_token_takes_all_with_it(cluster: Cluster) -> None:
    cluster.have(may=["updates"])
    cluster.have(may=["updates"], token="pve2")
    one = cluster.have(state="absent")
    assert one["changes"] == ["remove the token own@pve!pve1"]
    last = cluster.have(state="absent", token="pve2")
    assert last["changes"][1:] == [
        "remove the user own@pve with its grants",
        "remove the role NannyLook",
        "remove the role NannyLookUpdates",
    ]
    assert not [grant for grant in cluster.access.grants if grant.who.startswith("own@pve")]
    assert cluster.access.custom == {}
    assert not cluster.have(state="absent")["changed"]


def test_an_administrator_who_may_not_is_told_what_is_lacking(cluster: Cluster) -> None:
    looker = cluster.have()
    poor = Pve(
        cluster.lab.nodes[0].url,
        "own@pve",
        token_id="pve1",
        token_secret=looker["secret"],
        verify=str(cluster.lab.ca_file),
    )
    with pytest.raises(
        PveError, match=r"403 Permission check failed \(/access, Sys.Modify\).* Permissions.Modify on /"
    ):
        poor.ask("post", "access/roles", roleid="Mine", privs="VM.Audit")


@pytest.mark.parametrize(
    ("url", "password", "said"),
    [
        ("http://127.0.0.1:1", "x", "is no address of an API"),
        ("https://127.0.0.1:1", "x", "No answer from https://127.0.0.1:1"),
        ("", "wrong", "does not let the administrator in"),
    ],
)
def test_a_wrong_connection_is_told(cluster: Cluster, url: str, password: str, said: str) -> None:
    with pytest.raises(PveError, match=said):
        Pve(url or cluster.lab.nodes[0].url, "root@pam", password=password, verify=str(cluster.lab.ca_file))
