"""The agent inside virtual machines."""

import json
from typing import Any

import pytest

from nanny_ops.lab.pve.state.guest_agent import Ended, InMemory, Programs
from tests.unit.lab.pve.pretended import AUDITOR, Asking, asking

AGENT = "/nodes/pve1/qemu/203/agent"
PROGRAMS = {
    "cat": lambda _argv, stdin: Ended(0, stdin),
    "fail": lambda argv, _stdin: Ended(int(argv[1]), b"out\n", b"\xff"),
    "hang": lambda _argv, _stdin: Ended(None),
}


def with_programs(release: str = "8.4") -> Asking:
    asked = asking(release)
    asked.api.programs = Programs(InMemory(dict(PROGRAMS)))
    return asked


def run(asked: Asking, *command: str, stdin: str = "") -> int:
    body = {"command": list(command)} | ({"input-data": stdin} if stdin else {})
    kind = {"content-type": "application/json"}
    reply = asked.reply("POST", f"{AGENT}/exec", body=json.dumps(body).encode(), **kind)
    assert reply.status == 200, reply.reason
    return int(json.loads(reply.body)["data"]["pid"])


@pytest.mark.rows("PVE-37")
def test_a_result_is_read_once() -> None:
    asked = with_programs()
    path = f"{AGENT}/exec-status?pid={run(asked, 'cat', stdin='hello')}"
    assert asked.get(path) == {"exited": 1, "exitcode": 0, "out-data": "hello", "out-truncated": 0}
    assert asked.refusal("GET", path) == (500, "Agent error: Invalid parameter 'pid'")


@pytest.mark.rows("PVE-37")
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("cat",), {"exited": 1, "exitcode": 0}),
        (("fail", "-9"), {"signal": 9}),
        (("fail", "5"), {"exitcode": 5, "out-data": "out\n", "err-data": "\xff", "err-truncated": 0}),
        (("hang",), {"exited": 0}),
    ],
)
def test_how_a_program_can_end(command: tuple[str, ...], expected: dict[str, Any]) -> None:
    asked = with_programs()
    found = asked.get(f"{AGENT}/exec-status?pid={run(asked, *command)}")
    assert found.items() >= expected.items()
    assert "exitcode" not in found or "exitcode" in expected


@pytest.mark.rows("PVE-07")
def test_a_missing_program_breaks_the_pipe() -> None:
    asked = with_programs()
    reply = asked.reply("POST", f"{AGENT}/exec?command=no-such")
    assert (reply.status, reply.reason, reply.body, reply.delay) == (596, "Broken pipe", b"", 5.0)


@pytest.mark.rows("PVE-37")
@pytest.mark.parametrize("how", ["off", "unconfigured", "silent"])
def test_the_ways_it_can_be_absent(how: str) -> None:
    asked = with_programs()
    machine = asked.api.cluster.guests[203]
    if how == "off":
        asked.api.cluster.power.stop(machine)
    elif how == "unconfigured":
        asked.api.cluster.update(203, agent="0")
    else:
        machine.habits.agent_answers = False
    text = {
        "off": "VM 203 is not running",
        "unconfigured": "No QEMU guest agent configured",
        "silent": "QEMU guest agent is not running",
    }[how]
    assert asked.refusal("GET", f"{AGENT}/get-osinfo") == (500, text)
    assert asked.refusal("POST", f"{AGENT}/exec?command=cat") == (500, text)


@pytest.mark.rows("PVE-14")
@pytest.mark.parametrize(
    ("release", "method", "path", "needed"),
    [
        ("8.4", "GET", "get-osinfo", "VM.Monitor"),
        ("8.4", "POST", "exec?command=id", "VM.Monitor"),
        ("9.2", "POST", "exec?command=id", "VM.GuestAgent.Unrestricted"),
        ("9.2", "GET", "file-read?file=/etc/hostname", "VM.GuestAgent.FileRead"),
        ("9.2", "GET", "get-osinfo", ""),
    ],
)
def test_which_privilege_a_call_needs(release: str, method: str, path: str, needed: str) -> None:
    reply = with_programs(release).reply(method, f"{AGENT}/{path}", AUDITOR)
    if needed:
        assert reply.status == 403
        assert needed in reply.reason
    else:
        assert reply.status == 200


def test_files_are_written_and_read() -> None:
    asked = with_programs()
    assert asked.reply("POST", f"{AGENT}/file-write?file=/tmp/f&content=abc%0A").status == 200
    assert asked.get(f"{AGENT}/file-read?file=/tmp/f") == {"content": "abc\n", "bytes-read": 4}
    assert asked.reply("POST", f"{AGENT}/file-write?file=/tmp/g&content=/w==&encode=0").status == 200
    assert asked.get(f"{AGENT}/file-read?file=/tmp/g")["content"] == "\xff"
    missing = "Agent error: failed to open file '/no' (mode: 'r'): No such file or directory"
    assert asked.refusal("GET", f"{AGENT}/file-read?file=/no") == (500, missing)


def test_since_9_files_are_read_in_parts() -> None:
    assert asking().refusal("GET", f"{AGENT}/file-read?file=/tmp/f&offset=1")[0] == 400
    asked = with_programs("9.2")
    asked.reply("POST", f"{AGENT}/file-write?file=/tmp/f&content=abcdef")
    part = asked.get(f"{AGENT}/file-read?file=/tmp/f&offset=1&count=2&decode=0")
    assert part == {"content": "YmM=", "bytes-read": 2, "truncated": 1}
    assert asked.get(f"{AGENT}/file-read?file=/tmp/f&offset=6")["content"] == ""


@pytest.mark.rows("PVE-37")
def test_ping_is_posted() -> None:
    assert asking().refusal("GET", f"{AGENT}/ping")[0] == 501
    assert json.loads(asking().reply("POST", f"{AGENT}/ping").body)["data"] == {"result": {}}
    assert json.loads(asking().reply("POST", f"{AGENT}?command=get-host-name").body)["data"]["result"] == {
        "host-name": "vm1"
    }


def test_interfaces_come_from_the_configuration_and_the_machines_address() -> None:
    asked = asking()
    asked.api.cluster.guests[203].habits.address = "10.88.0.203"
    rows = {row["name"]: row for row in asked.get(f"{AGENT}/network-get-interfaces")["result"]}
    assert rows["eth0"]["hardware-address"] == "bc:24:11:00:00:01"
    found = [(row["ip-address"], row["prefix"]) for row in rows["eth0"]["ip-addresses"]]
    assert found == [("10.88.0.203", 24), ("fe80::be24:11ff:fe00:1", 64)]
    assert asked.get(f"{AGENT}/get-vcpus")["result"] == [{"logical-id": 0, "online": True, "can-offline": False}]


def test_windows_has_other_programs() -> None:
    asked = with_programs()
    asked.api.cluster.update(203, ostype="win11")
    assert asked.refusal("POST", f"{AGENT}/exec?command=cat")[0] == 596
