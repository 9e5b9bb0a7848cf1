"""The privileged helper as a process: jobs over its socket as in process, and everything that it must not do."""

import asyncio
import contextlib
import os
import pwd
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.agent.hands import InProcess, Split
from nanny_ops.agent.helper_socket import HelperSocket
from nanny_ops.agent.spool import Spool
from nanny_ops.agent.worker import Worker
from nanny_ops.errors import VerbRefused
from nanny_ops.machine.frame import HEAD, VERB_CAP, read_reply, write_verb
from nanny_ops.machine.perform import perform
from nanny_ops.machine.trusted_keys import read_local
from nanny_ops.machine.verbs import (
    ForgetJob,
    JobPhase,
    JobState,
    JobVerb,
    LookJob,
    StartScript,
)
from nanny_ops.protocol.signature import key_id
from tests.fakes.control_plane import FakeControlPlane, make_equipment, patch_record
from tests.job_contract import KEY, LONG, PUBLIC, Bench, JobContract, sign, signed

PROGRAM = Path(sys.executable).parent / "nanny-agent-helper"
#: Becomes the helper with the listening socket as file 3, as systemd starts it: by then its number is known.
BECOME = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1');"
    "os.execv(sys.argv[2], sys.argv[2:])"
)


@dataclass
class Helper:
    """A helper that a listening socket has started, as systemd would."""

    folder: Path
    user: str = field(default_factory=lambda: str(os.geteuid()))
    idle: int = 60
    process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        self.path = self.folder / "s"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.path.chmod(0o666)
        self.listener.listen(16)
        self.policy("")
        self.write("keys", PUBLIC)
        self.write(
            "helper.toml",
            f"user = '{self.user}'\nidle_seconds = {self.idle}\nstate_dir = '{self.folder}/state'\n"
            f"policy_file = '{self.folder}/policy.toml'\ntrusted_keys_file = '{self.folder}/keys'\n",
        )

    def policy(self, text: str) -> None:
        self.write("policy.toml", text)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o600)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> None:
        number = self.listener.fileno()
        argv = [sys.executable, "-c", BECOME, str(number), str(PROGRAM), "--config", str(self.folder / "helper.toml")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, pass_fds=[number], stderr=log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(LONG)

    def close(self) -> None:
        self.listener.close()
        if self.process is not None:
            self.kill()

    def connect(self) -> socket.socket:
        found = socket.socket(socket.AF_UNIX)
        found.settimeout(LONG)
        found.connect(str(self.path))
        return found

    def ask(self, verb: JobVerb) -> JobState:
        return asyncio.run(HelperSocket(self.path).do(verb))

    def wait(self, job_id: str = "op-1", phase: JobPhase = JobPhase.DONE) -> JobState:
        return wait(self.ask, job_id, phase)


def wait(ask: "object", job_id: str, phase: JobPhase) -> JobState:
    ends = time.monotonic() + LONG
    while (state := ask(LookJob(job_id=job_id))).phase is not phase:  # type: ignore[operator]
        assert time.monotonic() < ends, f"still {state.phase}"
        time.sleep(0.05)
    return state


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that all may go through, with a path short enough for a socket."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o711)
        yield Path(made)


@pytest.fixture
def helper(folder: Path) -> Iterator[Helper]:
    with contextlib.closing(Helper(folder)) as made:
        made.start()
        yield made


class InThisProcess:
    """Verbs that are carried out here."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self._hands = InProcess(perform, jobs_dir=folder / "jobs")

    def ask(self, verb: JobVerb) -> JobState:
        return asyncio.run(self._hands.do(verb))

    def sh(self, command: str) -> str:
        done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=LONG, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def end_caller(self) -> None:
        """There is none."""


class OverTheSocket(InThisProcess):
    """Verbs that a helper carries out; killed, it is started again as systemd would."""

    def __init__(self, helper: Helper) -> None:
        self.folder, self._helper = str(helper.folder), helper

    def ask(self, verb: JobVerb) -> JobState:
        return self._helper.ask(verb)

    def end_caller(self) -> None:
        self._helper.kill()
        self._helper.start()


class TestJobs(JobContract):
    """Detached groups, for PID 1 here need not be systemd; tests/machines has the units."""

    @pytest.fixture(params=["in process", "socket"])
    def bench(self, request: pytest.FixtureRequest, folder: Path) -> Bench:
        return OverTheSocket(request.getfixturevalue("helper")) if request.param == "socket" else InThisProcess(folder)


def test_a_daemon_that_goes_away_ends_no_job(helper: Helper) -> None:
    with helper.connect() as connection:
        connection.sendall(write_verb(StartScript(job=signed("echo '[]'\n"))))
    assert helper.wait().result is not None


def test_it_ends_when_idle_and_the_socket_starts_the_next(folder: Path) -> None:
    with contextlib.closing(Helper(folder, idle=1)) as helper:
        helper.start()
        assert helper.ask(LookJob(job_id="a")).phase is JobPhase.ABSENT
        assert helper.process is not None
        assert helper.process.wait(LONG) == 0
        with helper.connect() as connection:
            connection.sendall(write_verb(LookJob(job_id="a")))
            helper.start()
            assert HEAD.unpack(connection.recv(HEAD.size))[0] > 0


def test_it_starts_by_its_socket_only(tmp_path: Path) -> None:
    done = subprocess.run([PROGRAM], capture_output=True, timeout=LONG, text=True)
    assert done.returncode == 2
    assert "started by its socket" in done.stderr


def test_one_that_cannot_start_is_not_started_again_at_once(folder: Path) -> None:
    """Whoever waits for it would otherwise have systemd start it as often as it can."""
    with contextlib.closing(Helper(folder, user="nobody-of-that-name")) as helper:
        began = time.monotonic()
        helper.start()
        assert helper.process is not None
        assert helper.process.wait(LONG) == 2
        assert time.monotonic() - began >= 5
        assert "event=not_started" in helper.log


def test_another_user_is_refused(folder: Path) -> None:
    """As root another user asks; otherwise the helper is for root, and we are the other user."""
    am_root = os.geteuid() == 0
    other = pwd.getpwnam("nobody").pw_uid if am_root else os.geteuid()
    with contextlib.closing(Helper(folder, user="0")) as helper:
        helper.start()
        program = (
            "import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(60); s.connect(sys.argv[1]);\n"
            "try:\n    s.sendall(bytes.fromhex(sys.argv[2])); print(s.recv(100))\n"
            "except (BrokenPipeError, ConnectionResetError):\n    print(b'')\n"
        )
        argv = ["python3", "-I", "-c", program, str(helper.path), write_verb(LookJob(job_id="a")).hex()]
        more = {"user": other, "env": {"PATH": "/usr/bin:/bin"}, "cwd": "/"} if am_root else {}
        done = subprocess.run(argv, capture_output=True, timeout=LONG, text=True, **more)  # type: ignore[call-overload]
        assert (done.stdout, done.stderr) == ("b''\n", "")
        assert "event=peer_refused pid=" in helper.log
        assert f"uid={other} reason='this user may not ask'" in helper.log


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (HEAD.pack(VERB_CAP + 1), "too large"),
        (HEAD.pack(2**32 - 1), "too large"),
        (HEAD.pack(9) + b"\x92\xa6Reboot\x80", "no verb of this helper"),
        (HEAD.pack(4) + b"\xc1\xc1\xc1\xc1", "malformed"),
    ],
)
def test_what_is_no_verb_is_refused_and_logged(helper: Helper, raw: bytes, word: str) -> None:
    with helper.connect() as connection:
        connection.sendall(raw)
        size = HEAD.unpack(connection.recv(HEAD.size))[0]
        with pytest.raises(VerbRefused, match=word):
            read_reply(connection.recv(size))
    assert f"event=verb_refused pid={os.getpid()} uid={os.geteuid()}" in helper.log


def test_who_sends_slowly_holds_up_nobody(helper: Helper) -> None:
    with contextlib.ExitStack() as open_:
        for _ in range(8):
            open_.enter_context(helper.connect()).sendall(b"\0")
        began = time.monotonic()
        assert helper.ask(LookJob(job_id="a")).phase is JobPhase.ABSENT
        assert time.monotonic() - began < 8, "the others are given ten seconds"


def test_a_job_is_not_begun_again_when_it_is_over(helper: Helper, tmp_path: Path) -> None:
    job = signed(f"echo ran >> {tmp_path}/runs; echo '[]'\n")
    helper.ask(StartScript(job=job))
    helper.wait()
    helper.ask(ForgetJob(job_id="op-1"))
    helper.kill()
    helper.start()
    with pytest.raises(VerbRefused, match="begun before"):
        helper.ask(StartScript(job=job))
    assert (tmp_path / "runs").read_text() == "ran\n"


def test_the_policy_as_it_is_now_is_asked(helper: Helper, tmp_path: Path) -> None:
    helper.policy("targets = [101]\n")
    with pytest.raises(VerbRefused, match="target host"):
        helper.ask(StartScript(job=signed("echo '[]'\n")))
    helper.policy("targets = ['host']\n")
    helper.ask(StartScript(job=signed("echo '[]'\n")))
    assert "event=verb_refused" in helper.log
    assert helper.wait().result is not None


def test_the_daemons_user_reads_outputs_and_nothing_else(folder: Path) -> None:
    """As root the daemon is another user, who owns nothing here; otherwise we are it, and only the modes tell."""
    am_root = os.geteuid() == 0
    entry = pwd.getpwnam("nobody") if am_root else pwd.getpwuid(os.geteuid())
    with contextlib.closing(Helper(folder, user=entry.pw_name)) as helper:
        helper.start()
        helper.ask(StartScript(job=signed("echo '[]'\n")))
        stdout = Path(helper.wait().stdout_path)
        assert stdout.stat().st_mode & 0o777 == 0o640
        assert (stdout.parent.stat().st_mode | stdout.parents[1].stat().st_mode) & 0o777 == 0o710
        more = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []} if am_root else {}
        done = subprocess.run(["cat", stdout], capture_output=True, timeout=LONG, cwd="/", **more)  # type: ignore[call-overload]
        assert done.stdout == b"[]\n"
        for closed in ("script", "order.json"):
            path = stdout.with_name(closed)
            assert path.stat().st_mode & 0o077 == 0
            done = subprocess.run(["cat", path], capture_output=True, timeout=LONG, cwd="/", **more)  # type: ignore[call-overload]
            assert (done.returncode != 0) is am_root


def test_it_stays_small(helper: Helper) -> None:
    assert helper.ask(LookJob(job_id="a")).phase is JobPhase.ABSENT
    assert helper.process is not None
    rollup = Path(f"/proc/{helper.process.pid}/smaps_rollup").read_text()
    kib = int(rollup.split("Pss:")[1].split()[0])
    assert kib < 30 * 1024, f"{kib} KiB; daemon and helper together may have 60 MiB, of which the daemon has 45"


def test_an_order_goes_through_the_helper_to_its_result(helper: Helper, tmp_path: Path) -> None:
    """The agent's own worker and trust over the socket; what only the helper's policy forbids is refused."""
    job = signed(f"echo ran >> {tmp_path}/runs; echo '[]'\n", script_id="apt")
    plane = FakeControlPlane()
    plane.script, plane.sha256 = job.script, job.sha256
    word = {"algorithm": "ed25519", "key_id": key_id(KEY.public_key().public_bytes_raw()), "signature": sign(job)}
    plane.rules.append(
        lambda request: (
            httpx.Response(200, json={**word, "signatures": [word]})
            if request.url.path.endswith("/signature")
            else None
        )
    )

    async def go(order_id: str) -> dict[str, Any]:
        hands = Split(InProcess(perform, jobs_dir=tmp_path / "unused"), HelperSocket(helper.path).do)
        equipment = make_equipment(plane, hands, sleep=lambda _seconds: asyncio.sleep(0.05))
        equipment.trust.local = read_local(str(helper.folder / "keys"))
        kept = Spool(tmp_path / "spool.sqlite", cap=10)
        worker = Worker(equipment, kept)
        worker.submit("patch_operations", "create", plane.add(patch_record(order_id, mode="apply")))
        await worker.idle()
        await worker.close()
        kept.close()
        await equipment.client.close()
        found: dict[str, Any] = plane.results[order_id][-1]["metadata"]
        return found

    assert asyncio.run(go("op-1"))["outcome"] == "nothing_to_do"
    helper.policy("modes = ['dry-run']\n")
    refused = asyncio.run(go("op-2"))
    assert (refused["outcome"], "mode apply" in refused["reason"]) == ("refused", True)
    assert (tmp_path / "runs").read_text() == "ran\n"
    assert list((helper.folder / "state" / "jobs").iterdir()) == []
    assert not (tmp_path / "unused").exists()
