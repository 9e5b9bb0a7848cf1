"""Programs and files in a virtual machine, against recorded answers and a guest agent made of a dictionary."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

import pytest

from nanny_ops import errors
from nanny_ops.machine.proxmox import guest_agent
from nanny_ops.machine.proxmox.guest_agent import Ended, await_ready, read_file, run, write_file
from nanny_ops.machine.proxmox.power import Guest
from tests.unit.machine.proxmox.recorded import Recorded, Time, changes, refused

VM = Guest("pve1", "qemu", 203)
EXEC, STATUS, PING = f"{VM.path}/agent/exec", f"{VM.path}/agent/exec-status", f"{VM.path}/agent/ping"
SILENT = refused(500, "QEMU guest agent is not running")


def told(name: str) -> Recorded:
    """Return what real Proxmox VE answered while a program ran."""
    return Recorded().give(name).say(STATUS, *changes()[name]["exec_status"])


@pytest.mark.rows("PVE-37")
@pytest.mark.parametrize(
    ("name", "ended"),
    [
        ("post_qemu_agent_exec--exit5", Ended(5, None, b"out\n", b"err\n")),
        ("post_qemu_agent_exec--killed", Ended(None, 9, b"", b"")),
        ("post_qemu_agent_exec--binary", Ended(0, None, b"\xff\x01\x80", b"")),
        ("post_qemu_agent_exec--slow", Ended(0, None, b"done\n", b"")),
    ],
)
def test_a_program_ends_as_recorded(name: str, ended: Ended) -> None:
    assert run(told(name), VM, ["program"], seconds=60, pace=Time().pace) == ended


@pytest.mark.rows("PVE-37")
def test_a_result_is_read_once() -> None:
    api = told("post_qemu_agent_exec--slow")
    run(api, VM, ["sh", "-c", "sleep 3; echo done"], seconds=60, pace=Time().pace)
    assert len(api.made("GET")) == 5
    assert api.calls[0][2] == {"command": ["sh", "-c", "sleep 3; echo done"]}


@pytest.mark.rows("PVE-07", "PVE-14", "PVE-37")
@pytest.mark.parametrize(
    ("name", "vmid", "error", "said"),
    [
        ("post_qemu_agent_exec--notfound", 203, errors.GuestProgramMissing, "does it exist there"),
        ("post_qemu_agent_exec--not_running", 200, errors.GuestStopped, "does not run"),
        ("post_qemu_agent_exec--no_agent", 202, errors.GuestAgentOff, "not switched on"),
        ("http403_auditor_agent_exec", 203, errors.ProxmoxForbidden, "lacks VM.Monitor on /vms/203"),
    ],
)
def test_each_refusal_has_its_name(name: str, vmid: int, error: type[Exception], said: str) -> None:
    with pytest.raises(errors.ProxmoxError) as found:
        run(Recorded().give(name), Guest("pve1", "qemu", vmid), ["nosuchcmd"], seconds=5, pace=Time().pace)
    assert type(found.value) is error
    assert said in found.value.message


@pytest.mark.rows("PVE-14")
def test_the_missing_privilege_of_9_is_named() -> None:
    api = Recorded().give("http403_auditor_agent_exec", "9.2")
    with pytest.raises(errors.ProxmoxForbidden, match=r"VM\.GuestAgent\.Unrestricted on /vms/400"):
        run(api, Guest("pve3", "qemu", 400), ["id"], seconds=5, pace=Time().pace)


def test_a_program_that_does_not_end_is_told_with_its_number() -> None:
    api = Recorded().say(EXEC, {"pid": 166}, method="POST").say(STATUS, {"exited": 0})
    time = Time()
    with pytest.raises(errors.GuestProgramUnfinished) as late:
        run(api, VM, ["sleep", "99"], seconds=20, pace=time.pace)
    assert (late.value.details["pid"], time.now) == (166, pytest.approx(1020))


def test_an_agent_that_restarts_has_forgotten_its_programs() -> None:
    api = Recorded().say(EXEC, {"pid": 166}, method="POST")
    api.say(
        STATUS,
        {"exited": 0},
        SILENT,
        refused(595, "Connection refused"),
        refused(500, "Agent error: Invalid parameter 'pid'"),
    )
    with pytest.raises(errors.GuestProgramLost):
        run(api, VM, ["apt-get", "upgrade"], seconds=60, pace=Time().pace)


@pytest.mark.parametrize(("argv", "stdin"), [("uname -a", ""), ([], ""), (["cat"], "ä"), (["cat"], "x" * 65_537)])
def test_what_would_be_misunderstood_is_not_sent(argv: Any, stdin: str) -> None:
    api = Recorded()
    with pytest.raises(errors.ValidationFailed):
        run(api, VM, argv, seconds=5, stdin=stdin)
    assert api.calls == []


def test_a_guest_agent_is_waited_for() -> None:
    time = Time()
    api = Recorded().say(
        PING, SILENT, refused(500, "VM 203 qmp command 'guest-ping' failed - got timeout"), {}, method="POST"
    )
    await_ready(api, VM, 60, pace=time.pace)
    assert time.slept == [guest_agent.PING] * 2


def test_waiting_for_a_guest_agent_has_an_end() -> None:
    time = Time()
    with pytest.raises(errors.GuestAgentSilent):
        await_ready(Recorded().say(PING, SILENT, method="POST"), VM, 60, pace=time.pace)
    assert time.now == 1060


@pytest.mark.parametrize("reason", ["No QEMU guest agent configured", "VM 203 is not running"])
def test_what_waiting_does_not_cure_is_told_at_once(reason: str) -> None:
    time = Time()
    with pytest.raises(errors.ProxmoxError):
        await_ready(Recorded().say(PING, refused(500, reason), method="POST"), VM, 60, pace=time.pace)
    assert time.slept == []


@dataclass
class Files:
    """A guest agent over a dictionary of files, with as much of a shell as writing a file needs."""

    chunked: bool = True
    files: dict[str, bytes] = field(default_factory=dict)
    results: dict[int, dict[str, Any]] = field(default_factory=dict)
    spoil: bool = False

    def post(self, path: str, /, **parameters: Any) -> Any:
        if path.endswith("file-write"):
            assert len(parameters["content"]) <= 61_440
            self.files[parameters["file"]] = base64.b64decode(parameters["content"])
            return None
        pid = len(self.results) + 1
        self.results[pid] = {"exited": 1, "exitcode": 0, "out-data": self._execute(parameters["command"])}
        return {"pid": pid}

    def get(self, path: str, /, **parameters: Any) -> Any:
        if path.endswith("exec-status"):
            return self.results.pop(parameters["pid"])
        if not self.chunked and parameters.keys() - {"file"}:
            raise refused(400, "Parameter verification failed.")
        if (content := self.files.get(parameters["file"])) is None:
            raise refused(500, "Agent error: failed to open file '/nosuch' (mode: 'r'): No such file or directory")
        if not self.chunked:
            return {"content": content.decode("latin-1"), "bytes-read": len(content)}
        piece = content[parameters["offset"] :][: parameters["count"]]
        return {"content": base64.b64encode(piece).decode(), "bytes-read": len(piece)}

    def delete(self, path: str, /, **parameters: Any) -> Any:
        raise AssertionError(path)

    def _execute(self, command: list[str]) -> str:
        if command[0] == "sha256sum":
            content = self.files[command[1]] + (b"x" if self.spoil else b"")
            return f"{hashlib.sha256(content).hexdigest()}  {command[1]}\n"
        part, whole = command[-2:]
        self.files[whole] += self.files.pop(part)
        return ""


@pytest.mark.parametrize("size", [0, 1, guest_agent.WRITTEN, guest_agent.WRITTEN + 1, 2_000_000])
@pytest.mark.parametrize("chunked", [True, False], ids=["9.x", "8.x"])
def test_a_file_arrives_and_comes_back(size: int, chunked: bool) -> None:
    data, agent = (bytes(range(256)) * 8000)[:size], Files(chunked)
    write_file(agent, VM, "/var/tmp/script", data, pace=Time().pace)
    assert agent.files == {"/var/tmp/script": data}
    assert read_file(agent, VM, "/var/tmp/script") == data


def test_a_file_that_arrives_otherwise_is_told() -> None:
    with pytest.raises(errors.GuestFileDamaged, match="not what was written"):
        write_file(Files(spoil=True), VM, "/x", b"abc", pace=Time().pace)


def test_a_file_that_is_too_long_is_not_read_to_its_end() -> None:
    with pytest.raises(errors.GuestFileDamaged, match="more than 10 bytes"):
        read_file(Files(files={"/x": b"a" * 11}), VM, "/x", most=10)


@pytest.mark.parametrize("chunked", [True, False])
def test_a_missing_file_is_named(chunked: bool) -> None:
    with pytest.raises(errors.GuestAgentError, match="No such file"):
        read_file(Files(chunked), VM, "/nosuch")


def test_content_that_is_no_base64_is_damaged() -> None:
    api = Recorded().say(f"{VM.path}/agent/file-read", {"content": "ä", "bytes-read": 1})
    with pytest.raises(errors.GuestFileDamaged, match="did not arrive whole"):
        read_file(api, VM, "/x")


def test_a_relative_path_is_refused() -> None:
    with pytest.raises(errors.ValidationFailed):
        read_file(Files(), VM, "x")
