"""From recorded answers of Proxmox VE 8.4 and 9.2 to whole readings, cycle after cycle."""

import copy
import json
from dataclasses import fields
from typing import Any

import pytest
from pydantic import TypeAdapter

from nanny_ops.errors import ProxmoxUnauthorized, ProxmoxUnreachable
from nanny_ops.machine.proxmox.reader import Reader
from nanny_ops.machine.proxmox.sections import DAY, HOUR, QUARTER
from nanny_ops.protocol.inventory import UNNAMED, InventoryReport
from nanny_ops.protocol.proxmox import LxcReport, NodeReport, QemuReport
from tests.fakes.proxmox import GOLDEN, Recorded, order, refused

WALL = 1_795_295_700.0


class Clock:
    """Both clocks of a reader."""

    def __init__(self) -> None:
        self.at = 0.0

    def tick(self) -> float:
        return self.at

    def now(self) -> float:
        return WALL + self.at


def reader_of(api: Recorded, clock: Clock | None = None, root: str = "") -> Reader:
    clock = clock or Clock()
    return Reader(api, root, tick=clock.tick, now=clock.now)


def body(values: dict[str, Any], kind: str, vmid: int) -> dict[str, Any]:
    return next(one for one in values[kind] if one["vmid"] == vmid)


def fact(values: dict[str, Any], section: str, thing: str = "") -> dict[str, Any]:
    lines = {(one["section"], one["object"]): one for one in values["facts"]}
    return lines.get((section, thing)) or lines[section, ""]


@pytest.mark.parametrize("version", ["8.4", "9.2"])
def test_the_recorded_installation(version: str) -> None:
    found = reader_of(Recorded(version)).read(order())
    assert json.loads(json.dumps(found.values)) == json.loads((GOLDEN / version / "reading.json").read_text())


@pytest.mark.rows("G0-PX-01", "G0-PX-02", "G0-PX-03", "G0-PX-04")
@pytest.mark.parametrize("version", ["8.4", "9.2"])
def test_the_bodies_hold_every_field_of_the_guide(version: str) -> None:
    values = reader_of(Recorded(version)).read(order()).values
    TypeAdapter(InventoryReport).validate_python({"at": "now", **values})
    for kind, record in (("nodes", NodeReport), ("lxc", LxcReport), ("qemu", QemuReport)):
        beside = {field.name for field in fields(record.__mro__[1])} | {"guests"}
        for one in values[kind]:
            assert set(one) >= {field.name for field in fields(record)} - beside


def test_only_what_has_changed_is_told_again() -> None:
    api = Recorded()
    reader = reader_of(api)
    first = reader.read(order())
    assert (len(first.values["lxc"]), len(first.values["qemu"]), len(first.values["nodes"])) == (6, 3, 1)
    for row in api.answers["cluster/resources"]:
        row["uptime"] = row.get("uptime", 0) + 300
        if row.get("vmid") == 103:
            row["status"] = "running"
    second = reader.read(order(acknowledged=first.serial))
    assert [one["vmid"] for one in second.values["lxc"]] == [103]
    assert (second.values["qemu"], second.values["nodes"]) == ([], [])
    assert len(second.values["usage"]) == 9
    lost = reader.read(order(acknowledged=first.serial))
    assert [one["vmid"] for one in lost.values["lxc"]] == [103]
    again = reader.read(order(acknowledged=0))
    assert len(again.values["lxc"]) == 6


def test_a_quiet_cycle_asks_for_little() -> None:
    api, clock = Recorded(), Clock()
    reader = reader_of(api, clock)
    reader.read(order())
    api.take_asked()
    clock.at += 300
    reader.read(order())
    asked = [one for one in api.take_asked() if not one.endswith("config?current=1")]
    assert asked == [
        "cluster/ha/status/current",
        "cluster/resources",
        "cluster/status",
        "nodes/pve1/status",
        "nodes/pve1/tasks?limit=500&since=1795295667&source=all",
    ]


def test_every_configuration_has_its_turn_once_in_twelve_cycles() -> None:
    api = Recorded()
    reader = reader_of(api)
    reader.read(order())
    api.take_asked()
    for _ in range(12):
        reader.read(order())
    asked = [one for one in api.take_asked() if one.endswith("config?current=1")]
    assert len(asked) == len(set(asked)) == 9


def test_a_task_about_a_guest_and_a_changed_row_make_its_configuration_due() -> None:
    api = Recorded()
    reader = reader_of(api)
    reader.read(order())
    api.take_asked()
    upid = "UPID:pve1:0001:0002:0003:qmconfig:200:root@pam:"
    api.answers["nodes/pve1/tasks?limit=500&since=1795295667&source=all"] = [
        {"upid": upid, "type": "qmconfig", "id": "200", "node": "pve1", "starttime": 1795295900, "endtime": 1795295901}
    ]
    next(row for row in api.answers["cluster/resources"] if row.get("vmid") == 106)["maxmem"] *= 2
    reader.read(order())
    asked = {one for one in api.take_asked() if one.endswith("config?current=1")}
    assert {"nodes/pve1/qemu/200/config?current=1", "nodes/pve1/lxc/106/config?current=1"} <= asked


def test_the_slower_facts_have_their_intervals() -> None:
    api, clock = Recorded(), Clock()
    reader = reader_of(api, clock)
    reader.read(order())
    seen: dict[float, set[str]] = {}
    for age in (QUARTER, HOUR, 6 * HOUR, DAY):
        api.take_asked()
        clock.at = age
        reader.read(order())
        seen[age] = set(api.take_asked())
    assert "nodes/pve1/services" in seen[QUARTER]
    assert "nodes/pve1/lxc/101/interfaces" in seen[QUARTER]
    assert "nodes/pve1/disks/list" not in seen[QUARTER] | seen[HOUR]
    assert {"nodes/pve1/lxc/101/snapshot", "nodes/pve1/replication"} <= seen[HOUR]
    assert {"nodes/pve1/disks/list", "nodes/pve1/certificates/info", "cluster/ceph/status"} <= seen[6 * HOUR]
    assert "nodes/pve1/subscription" in seen[DAY]


@pytest.mark.rows("PVE-36")
def test_guests_of_a_dead_node_are_unknown_and_not_running() -> None:
    api = Recorded()
    next(one for one in api.answers["cluster/status"] if one["name"] == "pve2")["online"] = 0
    values = reader_of(api).read(order()).values
    assert next(row for row in api.answers["cluster/resources"] if row.get("vmid") == 104)["status"] == "running"
    assert body(values, "lxc", 104)["status"] == "unknown"
    usage = next(one for one in values["usage"] if one["vmid"] == 104)
    assert usage == {"vmid": 104, "kind": "lxc", "node": "pve2", "status": "unknown"}
    assert {"node": "pve2", "status": "offline"} in values["node_usage"]
    assert fact(values, "guest.config", "lxc/104")["state"] == "failed"
    assert not any(one.startswith("nodes/pve2") for one in api.asked)


def test_only_the_elected_agent_tells_of_the_cluster() -> None:
    api = Recorded()
    next(one for one in api.answers["cluster/status"] if one["name"] == "pve2")["online"] = 0
    values = reader_of(api).read(order(reports_cluster=False)).values
    assert not {"cluster", "jobs", "ha", "ceph"} & set(values)
    assert {one["node"] for one in values["usage"]} == {"pve1"}
    assert not {one for one in api.asked if one.startswith(("cluster/ha", "cluster/backup?", "cluster/ceph"))}
    assert values["guests"] == [101, 102, 103, 105, 106, 107, 200, 202, 203]


def test_it_speaks_for_the_nodes_that_the_control_plane_names() -> None:
    api = Recorded()
    api.answers["nodes/pve2/lxc/104/config?current=1"] = {"hostname": "app1", "memory": 512}
    values = reader_of(api).read(order(speaks_for=["pve2", "pve9"])).values
    assert body(values, "lxc", 104)["memory_mb"] == 512
    assert {one["name"] for one in values["nodes"]} == {"pve1", "pve2"}
    assert 104 in values["cluster"]["guests"]
    assert 104 not in values["guests"]


@pytest.mark.rows("PVE-15")
@pytest.mark.parametrize(
    "permissions",
    [
        {},
        {"/": {"VM.Audit": 0}},
        {"/": {"VM.Audit": 1}, "/vms": {"VM.Console": 1}},
        {"/": {"VM.Audit": 1}, "/vms": {"VM.Audit": 1}, "/vms/105": {}},
        {"/vms/101": {"VM.Audit": 1}},
        refused(500, "no"),
    ],
)
def test_a_list_that_may_be_incomplete_is_never_told_as_complete(permissions: Any) -> None:
    api = Recorded()
    api.answers["access/permissions"] = permissions
    found = reader_of(api).read(order())
    assert "guests" not in found.values
    assert "guests" not in found.values["cluster"]
    assert found.problems
    if isinstance(permissions, dict):
        assert fact(found.values, "guests")["state"] == "forbidden"
        assert fact(found.values, "guests")["privilege"] == "VM.Audit"


@pytest.mark.rows("PVE-14")
@pytest.mark.parametrize(
    ("version", "vm", "privilege"), [("8.4", 203, "VM.Monitor"), ("9.2", 400, "VM.GuestAgent.Audit")]
)
def test_the_guest_agent_takes_the_releases_own_privilege(version: str, vm: int, privilege: str) -> None:
    api = Recorded(version)
    next(row for row in api.answers["cluster/resources"] if row.get("vmid") == vm)["status"] = "running"
    for rights in api.answers["access/permissions"].values():
        rights.pop("VM.GuestAgent.Audit", None)
    values = reader_of(api).read(order()).values
    told = fact(values, "guest.agent", f"qemu/{vm}")
    assert (told["state"], told["privilege"].split("|")[0]) == ("forbidden", privilege)
    assert "guest_agent" not in body(values, "qemu", vm)
    for rights in api.answers["access/permissions"].values():
        rights[privilege] = 1
    values = reader_of(api).read(order()).values
    assert body(values, "qemu", vm)["guest_agent"]["running"] is True
    assert body(values, "qemu", vm)["addresses"]


def test_backups_that_the_token_cannot_see_are_unknown_and_not_none() -> None:
    api = Recorded()
    values = reader_of(api).read(order()).values
    assert body(values, "lxc", 103)["backup"] == {"covered": False, "found": None}
    assert fact(values, "guest.backup")["privilege"] == "Datastore.AllocateSpace"
    for rights in api.answers["access/permissions"].values():
        rights |= {"Datastore.AllocateSpace": 1, "VM.Backup": 1}
    values = reader_of(api).read(order()).values
    assert body(values, "lxc", 103)["backup"]["last_at"] == 1795296944
    assert body(values, "lxc", 101)["backup"] == {"covered": False, "found": False}


@pytest.mark.rows("F17")
def test_absent_forbidden_failed_and_stale_are_four_things() -> None:
    api, clock = Recorded(), Clock()
    reader = reader_of(api, clock)
    api.answers["nodes/pve1/services"] = refused(500, "timeout")
    values = reader.read(order()).values
    assert fact(values, "cluster.ceph")["state"] == "absent"
    assert fact(values, "node.updates")["state"] == "forbidden"
    assert fact(values, "node.services")["state"] == "failed"
    assert fact(values, "node.disks")["state"] == "ok"
    clock.at = DAY
    api.answers["nodes/pve1/disks/list"] = refused(500, "timeout")
    values = reader.read(order()).values
    stale = fact(values, "node.disks")
    assert (stale["state"], stale["at"]) == ("stale", fact(values, "node.clock")["at"].replace("22T", "21T"))
    assert values["nodes"][0]["disks"]


@pytest.mark.rows("F15")
def test_a_guest_that_leaves_meanwhile_is_left_out() -> None:
    api = Recorded()
    api.answers["nodes/pve1/qemu/203/config?current=1"] = refused(
        500, "Configuration file 'nodes/pve1/qemu-server/203.conf' does not exist"
    )
    values = reader_of(api).read(order()).values
    assert 203 not in {one["vmid"] for one in values["qemu"]}
    assert fact(values, "guest.config", "qemu/203")["state"] == "failed"


def test_a_configuration_that_may_not_be_read_leaves_what_the_list_tells() -> None:
    api = Recorded()
    api.answers["nodes/pve1/lxc/101/config?current=1"] = refused(403, "Permission check failed (/vms/101, VM.Audit)")
    values = reader_of(api).read(order()).values
    web = body(values, "lxc", 101)
    assert (web["name"], web["status"], web["tags"], "rootfs" in web) == ("web1", "running", "prod;web", False)
    assert fact(values, "guest.config", "lxc/101")["privilege"] == "VM.Audit"


def test_without_its_authority_a_cluster_is_known_by_name_and_that_is_said() -> None:
    api = Recorded()
    api.answers["nodes/pve1/certificates/info"] = []
    found = reader_of(api).read(order())
    assert found.values["cluster"]["cluster_id"] == "cluster1"
    assert any("by its name" in problem for problem in found.problems)


def test_a_certificate_list_that_fails_once_does_not_rename_the_cluster() -> None:
    api = Recorded()
    api.answers["nodes/pve1/certificates/info"] = ProxmoxUnreachable()
    assert "cluster" not in reader_of(api).read(order()).values


@pytest.mark.rows("PVE-06")
def test_without_pvedaemon_the_open_calls_still_tell() -> None:
    api, clock = Recorded(), Clock()
    reader = reader_of(api, clock)
    first = reader.read(order())
    for path, answer in list(api.answers.items()):
        if path not in {"cluster/resources", "nodes/pve1/status", "version"} and not isinstance(answer, Exception):
            api.answers[path] = refused(595, "Connection refused", path)
    clock.at += 300
    found = reader.read(order(acknowledged=first.serial))
    assert len(found.values["usage"]) == 9
    assert found.values["node_usage"][0]["status"] == "online"
    assert fact(found.values, "cluster")["state"] == "failed"
    assert "cluster" not in found.values


@pytest.mark.rows("PVE-02")
def test_a_token_that_is_refused_ends_the_cycle_at_once() -> None:
    api = Recorded()
    reader = reader_of(api)
    reader.read(order())
    api.take_asked()
    api.answers = {path: ProxmoxUnauthorized("no.") for path in api.answers}
    found = reader.read(order())
    assert found.values.keys() == {"node", "facts"}
    assert fact(found.values, "cluster") == {**fact(found.values, "cluster"), "state": "failed", "reason": "no."}
    assert len(api.take_asked()) == 2


def test_a_dead_api_is_an_error_and_not_an_empty_cluster() -> None:
    api = Recorded()
    api.answers = {path: ProxmoxUnreachable("dead.") for path in api.answers}
    found = reader_of(api).read(order())
    assert (found.values.keys(), found.values["node"]) == ({"node", "facts"}, UNNAMED)
    TypeAdapter(InventoryReport).validate_python({"at": "now", **found.values})
    assert (fact(found.values, "cluster")["state"], fact(found.values, "cluster")["reason"]) == ("failed", "dead.")
    assert api.closed == 1


@pytest.mark.parametrize("host", ["pve1", ""])
def test_a_token_without_rights_tells_what_it_lacks_under_the_nodes_name(host: str) -> None:
    api, clock = Recorded(), Clock()
    api.answers |= {"cluster/status": refused(403, "Permission check failed (/, Sys.Audit)"), "cluster/resources": []}
    api.answers |= {"access/permissions": {}, "nodes": [{"node": "pve1", "ssl_fingerprint": "AB:CD"}]}
    api.peer = "abcd"
    found = Reader(api, host=host, tick=clock.tick, now=clock.now).read(order())
    assert found.values["node"] == "pve1"
    told = fact(found.values, "cluster")
    assert (told["state"], told["privilege"]) == ("forbidden", "Sys.Audit")
    assert fact(found.values, "rights")["state"] == "forbidden"
    assert ("nodes" in api.asked) == (not host)


def test_an_answer_without_a_local_node_tells_only_that() -> None:
    api = Recorded()
    api.answers["cluster/status"] = []
    found = reader_of(api).read(order())
    assert (found.values.keys(), found.values["node"]) == ({"node", "facts"}, UNNAMED)
    assert "which node" in fact(found.values, "cluster")["reason"]


@pytest.mark.rows("PVE-35", "F13")
def test_no_quorum_is_reported_as_it_is() -> None:
    api = Recorded()
    next(one for one in api.answers["cluster/status"] if one["type"] == "cluster")["quorate"] = 0
    assert reader_of(api).read(order()).values["cluster"]["quorate"] == 0


def test_a_node_that_does_not_answer_is_left_alone_for_a_while() -> None:
    api, clock = Recorded(), Clock()
    dead = refused(595, "No route to host")
    for what in ("status", "tasks?limit=500&source=all", "lxc/104/config?current=1", "qemu/201/config?current=1"):
        api.answers[f"nodes/pve2/{what}"] = dead
    reader = reader_of(api, clock)
    reader.read(order(speaks_for=["pve2"]))
    reader.read(order(speaks_for=["pve2"]))
    api.take_asked()
    clock.at += 30
    found = reader.read(order(speaks_for=["pve2"]))
    assert not [one for one in api.take_asked() if one.startswith("nodes/pve2")]
    assert fact(found.values, "node.status", "pve2")["state"] == "failed"


def test_files_of_the_node_are_read_only_when_they_change(tmp_path: Any) -> None:
    api, clock = Recorded(), Clock()
    (tmp_path / "local").symlink_to("nodes/pve1")
    for kind, folder in (("lxc", "lxc"), ("qemu", "qemu-server")):
        (tmp_path / "nodes" / "pve1" / folder).mkdir(parents=True)
        for row in api.answers["cluster/resources"]:
            if row["type"] == kind and row["node"] == "pve1":
                path = tmp_path / "nodes" / "pve1" / folder / f"{row['vmid']}.conf"
                path.write_text("#a note\nmemory: 512\nhostname: h\n\n[s1]\nmemory: 256\nsnaptime: 5\n")
    reader = reader_of(api, clock, str(tmp_path))
    values = reader.read(order()).values
    web = body(values, "lxc", 101)
    assert (web["memory_mb"], web["description"], web["snapshots"][0]["name"]) == (512, "a note\n", "s1")
    assert fact(values, "guest.config")["source"] == "pmxcfs"
    assert not [one for one in api.asked if "config?" in one or "snapshot" in one]
    (tmp_path / "nodes/pve1/lxc/101.conf").write_text("memory: 1024\n")
    assert body(reader.read(order()).values, "lxc", 101)["memory_mb"] == 1024


def test_the_reading_does_not_depend_on_the_order_of_lists() -> None:
    turned = Recorded()
    turned.answers = {
        path: answer[::-1] if isinstance(answer, list) else answer for path, answer in turned.answers.items()
    }
    plain = reader_of(Recorded()).read(order()).values
    told = reader_of(turned).read(order()).values
    assert copy.deepcopy({**told, "tasks": 0}) == {**plain, "tasks": 0}
