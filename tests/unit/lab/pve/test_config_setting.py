"""Reading and changing configurations over the API."""

import json
import re
from typing import Any

import pytest

from nanny_ops.lab.pve.state.setting import privilege, takes_effect_at_once, typed
from tests.unit.lab.pve.pretended import LIMITED, Asking, asking

STOPPED, RUNNING = "/nodes/pve1/lxc/103", "/nodes/pve1/lxc/101"


def put(asked: Asking, guest: str, query: str) -> tuple[int, str, Any]:
    reply = asked.reply("PUT", f"{guest}/config?{query}")
    return reply.status, reply.reason, json.loads(reply.body).get("errors")


def test_values_have_the_types_of_the_schema() -> None:
    asked = asking()
    assert put(asked, STOPPED, "memory=288&description=via%20api&tags=b,a&onboot=yes")[0] == 200
    found = asked.get(f"{STOPPED}/config")
    assert (found["memory"], found["description"], found["tags"], found["onboot"]) == (288, "via api\n", "a;b", 1)
    assert put(asked, STOPPED, "delete=description,onboot")[0] == 200
    assert not {"description", "onboot"} & asked.get(f"{STOPPED}/config").keys()


def test_of_a_running_container_some_changes_wait() -> None:
    asked = asking()
    asked.api.cluster.update(101, timezone="UTC")
    assert put(asked, RUNNING, "timezone=host&memory=1024&hostname=web9")[0] == 200
    assert asked.get(f"{RUNNING}/config")["timezone"] == "host"
    now = asked.get(f"{RUNNING}/config?current=1")
    assert (now["timezone"], now["memory"], now["hostname"]) == ("UTC", 1024, "web9")
    waiting = {row["key"]: row for row in asked.get(f"{RUNNING}/pending")}
    assert waiting["timezone"] == {"key": "timezone", "value": "UTC", "pending": "host"}
    assert set(waiting["digest"]) == {"key", "value"}
    assert put(asked, RUNNING, "revert=timezone")[0] == 200
    assert asked.get(f"{RUNNING}/config")["timezone"] == "UTC"
    assert put(asked, RUNNING, "delete=timezone")[0] == 200
    assert {"key": "timezone", "value": "UTC", "delete": 1} in asked.get(f"{RUNNING}/pending")


def test_a_digest_that_no_longer_fits_is_refused() -> None:
    asked = asking()
    old = asked.get(f"{STOPPED}/config")["digest"]
    assert put(asked, STOPPED, f"memory=300&digest={old}")[0] == 200
    text = "detected modified configuration - file changed by other user? Try again."
    assert put(asked, STOPPED, f"memory=301&digest={old}")[:2] == (500, text)
    assert asked.get(f"{STOPPED}/config")["memory"] == 300


@pytest.mark.rows("PVE-16")
def test_no_token_removes_a_lock() -> None:
    asked = asking()
    assert put(asked, STOPPED, "lock=backup")[0] == 200
    for query in ("memory=290", "delete=lock"):
        assert put(asked, STOPPED, query)[:2] == (500, "CT is locked (backup)")
    assert put(asked, STOPPED, "delete=lock&skiplock=1")[0] == 400


@pytest.mark.rows("PVE-16")
@pytest.mark.parametrize(
    ("guest", "query", "status", "text"),
    [
        (RUNNING, "features=nesting=1,keyctl=1", 403, "changing feature flags (except nesting) is only allowed for"),
        (RUNNING, "hookscript=local:snippets/a.pl", 403, "is only allowed for root@pam"),
        ("/nodes/pve1/qemu/203", "args=-kernel", 500, "only root can set 'args' config"),
    ],
)
def test_some_settings_are_roots(guest: str, query: str, status: int, text: str) -> None:
    found = put(asking(), guest, query)
    assert found[0] == status
    assert text in found[1]


def test_nesting_is_no_feature_of_roots() -> None:
    assert put(asking(), RUNNING, "features=nesting=0")[0] == 200


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("", 500, "no options specified"),
        ("delete=rootfs", 500, "unable to delete required option 'rootfs'"),
        ("memory=300&delete=memory", 400, "Parameter verification failed."),
        ("memory=8", 400, "Parameter verification failed."),
    ],
)
def test_what_is_wrong_without_a_look_at_the_guest(query: str, status: int, text: str) -> None:
    assert put(asking(), STOPPED, query)[:2] == (status, text)


@pytest.mark.rows("PVE-35")
def test_without_quorum_nothing_is_changed() -> None:
    asked = asking()
    asked.api.cluster.set_online("pve2", online=False)
    status, reason, _ = put(asked, STOPPED, "memory=280")
    assert status == 500
    assert reason.startswith("unable to open file '/etc/pve/nodes/pve1/lxc/103.conf.tmp.")
    assert asked.get(f"{STOPPED}/config")["memory"] == 512


def test_a_machine_is_changed_by_a_task_too() -> None:
    asked = asking()
    assert asked.task("/nodes/pve1/qemu/203/config?name=other") == "OK"
    assert asked.get("/nodes/pve1/qemu/203/config")["name"] == "other"


def test_each_setting_has_its_privilege() -> None:
    assert asking().refusal("PUT", f"{RUNNING}/config?memory=400", LIMITED)[0] == 403
    assert privilege("lxc", "mp3") == "VM.Config.Disk"
    assert privilege("qemu", "ciuser") == "VM.Config.Cloudinit"
    assert privilege("lxc", "tags") == "VM.Config.Options"


def test_types_and_times() -> None:
    assert (typed("lxc", "memory", "16"), typed("qemu", "memory", "16")) == (16, "16")
    assert (takes_effect_at_once("lxc", "mp0"), takes_effect_at_once("lxc", "features")) == (True, False)


@pytest.mark.parametrize(
    ("guest", "given", "pattern"),
    [
        (
            STOPPED,
            "name=eth1,bridge=vmbr0,ip=dhcp",
            r"name=eth1,bridge=vmbr0,ip=dhcp,hwaddr=BC:24:11(:[0-9A-F]{2}){3},type=veth",
        ),
        ("/nodes/pve1/qemu/203", "virtio,bridge=vmbr0", r"virtio=BC:24:11(:[0-9A-F]{2}){3},bridge=vmbr0"),
        ("/nodes/pve1/qemu/203", "e1000=02:00:00:00:00:01", r"e1000=02:00:00:00:00:01"),
    ],
)
def test_an_interface_without_an_address_gets_one(guest: str, given: str, pattern: str) -> None:
    asked = asking()
    asked.api.cluster.power.stop(asked.api.cluster.guests[203])
    assert put(asked, guest, f"net1={given}")[0] == 200
    assert re.fullmatch(pattern, asked.get(f"{guest}/config")["net1"])
