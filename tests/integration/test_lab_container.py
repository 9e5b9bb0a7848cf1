"""A real container behind the pct stand-in: programs, exit codes, files, packages, and the API's view of it."""

import json
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from proxmoxer import ProxmoxAPI

from nanny_ops.lab.apt_repository import INSTALLED, OFFERED
from nanny_ops.lab.deb import Deb
from nanny_ops.lab.lab import ADMIN_TOKEN, Lab
from nanny_ops.lab.pve.state.storage import Storage
from nanny_ops.lab.tree import tree_hash
from nanny_ops.machine.run import Done, run
from tests.lab_fixtures import real_lab

__all__ = ["real_lab"]

pytestmark = pytest.mark.lxc

VMID = 101


@pytest.fixture
def running(real_lab: Lab) -> Lab:
    """The lab with the container running, whatever the test before did to it."""
    if real_lab.guest(VMID).pid() is None:
        real_lab.start(VMID)
    return real_lab


def pct(lab: Lab, *words: str, stdin: bytes | None = None, timeout: float = 60) -> Done:
    return run([str(lab.nodes[0].bin_dir / "pct"), *words], timeout=timeout, stdin=stdin)


def inside(lab: Lab, *words: str, stdin: bytes | None = None) -> Done:
    return pct(lab, "exec", str(VMID), "--", *words, stdin=stdin)


def api(lab: Lab) -> ProxmoxAPI:
    where = urlsplit(lab.nodes[0].url)
    user, _, name = ADMIN_TOKEN.partition("!")
    secret = lab.tokens[ADMIN_TOKEN].secret
    ca_file = str(lab.ca_file)
    return ProxmoxAPI(
        where.hostname, port=where.port, user=user, token_name=name, token_value=secret, verify_ssl=ca_file
    )


def test_it_is_a_machine_of_its_own(running: Lab) -> None:
    assert inside(running, "hostname").stdout == b"web1\n"
    assert inside(running, "cat", "/proc/1/comm").stdout == b"init\n"
    assert b"VERSION_CODENAME=bookworm" in inside(running, "cat", "/etc/os-release").stdout


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_exit_codes_pass_through(running: Lab, code: int) -> None:
    assert inside(running, "sh", "-c", f"exit {code}").exit_code == code


@pytest.mark.parametrize(("number", "code"), [("KILL", 137), ("TERM", 143), ("SEGV", 139)])
def test_signals_are_exit_codes(running: Lab, number: str, code: int) -> None:
    assert inside(running, "sh", "-c", f"kill -{number} $$").exit_code == code


@pytest.mark.parametrize(("program", "code"), [("nosuchcmd", 127), ("/etc/passwd", 126), ("/etc", 126)])
def test_what_cannot_be_executed(running: Lab, program: str, code: int) -> None:
    done = inside(running, program)
    assert done.exit_code == code
    assert b"Failed to exec" in done.stderr


def test_streams_stay_apart_and_binary(running: Lab) -> None:
    data = bytes(range(256)) * 4000
    done = inside(running, "sh", "-c", "cat; echo err >&2; exit 3", stdin=data)
    assert (done.exit_code, done.stdout, done.stderr) == (3, data, b"err\n")


def test_arguments_arrive_as_they_are(running: Lab) -> None:
    words = ("a b", 'c"d', "e'f", "$HOME", "*", "g\nh")
    done = inside(running, "printf", "[%s]", *words)
    assert done.stdout.decode() == "".join(f"[{word}]" for word in words)


def test_a_killed_client_leaves_the_program_running(running: Lab) -> None:
    argv = [str(running.nodes[0].bin_dir / "pct"), "exec", str(VMID), "--", "sleep", "333"]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as client:
        pid = wait_for_sleep(running)
        client.kill()
    assert wait_for_sleep(running) == pid
    assert inside(running, "sh", "-c", f"kill {pid}").exit_code == 0


def wait_for_sleep(lab: Lab) -> str:
    """Return the number that ``sleep 333`` has in the container, as soon as it is there."""
    look = "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline | grep -qx 'sleep 333 ' && echo ${p#/proc/}; done"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := inside(lab, "sh", "-c", look).stdout.split():
            return found[0].decode()
    raise AssertionError("sleep 333 does not run")


def test_orphans_are_reaped(running: Lab) -> None:
    inside(running, "sh", "-c", "for i in 1 2 3 4 5; do (sleep 0.1 &) ; done")
    time.sleep(0.5)
    lines = inside(running, "sh", "-c", "cat /proc/[0-9]*/stat").stdout.decode().splitlines()
    states = [line.rpartition(")")[2].split() for line in lines]
    # A program whose pct exec was killed has its parent outside (0); only those of this init are its to reap.
    assert [state for state in states if state[0] == "Z" and state[1] != "0"] == []


def test_push_and_pull(running: Lab, tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000
    (tmp_path / "source").write_bytes(data)
    target = "/root/pushed"
    done = pct(
        running,
        "push",
        str(VMID),
        str(tmp_path / "source"),
        target,
        "--perms",
        "0700",
        "--user",
        "www-data",
        "--group",
        "1",
    )
    assert (done.exit_code, done.stderr) == (0, b"")
    assert inside(running, "stat", "-c", "%a:%u:%g:%s", target).stdout == f"700:33:1:{len(data)}\n".encode()
    assert pct(running, "pull", str(VMID), target, str(tmp_path / "back")).exit_code == 0
    assert (tmp_path / "back").read_bytes() == data


def test_a_link_in_the_container_does_not_lead_out(running: Lab, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("from outside\n")
    inside(running, "ln", "-sfn", str(tmp_path), "/root/link")
    inside(running, "mkdir", "-p", str(tmp_path))
    pct(running, "push", str(VMID), str(tmp_path / "source"), "/root/link/victim")
    assert not (tmp_path / "victim").exists()
    assert inside(running, "cat", f"{tmp_path}/victim").stdout == b"from outside\n"


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("/nosuch/dir/p.txt", "failed to create file: /nosuch/dir/p.txt: No such file or directory\n"),
        ("/root", "failed to create file: /root: Is a directory\n"),
        ("/proc/p.txt", "failed to create file: /proc/p.txt: No such file or directory\n"),
    ],
)
def test_a_failed_push_ends_with_0(running: Lab, tmp_path: Path, target: str, text: str) -> None:
    (tmp_path / "source").touch()
    done = pct(running, "push", str(VMID), str(tmp_path / "source"), target)
    assert (done.exit_code, done.stderr.decode()) == (0, text)


def test_stop_ends_what_runs_with_137_and_shutdown_with_143(running: Lab) -> None:
    stop, shutdown = f"pct stop {VMID}", f"pct shutdown {VMID} --timeout 20"
    for command, code in ((stop, 137), (shutdown, 143)):
        script = f'PATH="$1:$PATH"; pct exec {VMID} -- sleep 60 & p=$!; sleep 1; {command} || exit 9; wait $p; echo $?'
        done = run(["sh", "-c", script, "sh", str(running.nodes[0].bin_dir)], timeout=60)
        assert done.stdout.decode() == f"{code}\n"
        assert pct(running, "status", str(VMID)).stdout == b"status: stopped\n"
        refused = inside(running, "true")
        assert (refused.exit_code, refused.stderr.decode()) == (255, f"container '{VMID}' not running!\n")
        assert pct(running, "start", str(VMID)).exit_code == 0


def test_the_api_tells_what_lxc_does(running: Lab) -> None:
    current = api(running).nodes("pve1").lxc(VMID).status.current
    assert current.get()["status"] == "running"
    assert current.get()["pid"] == running.guest(VMID).pid()
    assert current.get()["mem"] > 0
    upid = api(running).nodes("pve1").lxc(VMID).status.stop.post()
    deadline = time.monotonic() + 30
    while api(running).nodes("pve1").tasks(upid).status.get()["status"] == "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert api(running).nodes("pve1").tasks(upid).status.get()["exitstatus"] == "OK"
    assert current.get()["status"] == "stopped"


def test_exactly_the_offered_packages_are_upgradable(running: Lab) -> None:
    update = inside(running, "apt-get", "update")
    assert (update.exit_code, update.stderr) == (0, b"")
    lines = inside(running, "apt", "list", "--upgradable").stdout.decode().splitlines()[1:]
    assert {line.split()[0].partition("/")[0]: line.split()[1] for line in lines if line} == {
        deb.name: deb.version for deb in OFFERED
    }
    assert {line.partition("/")[0] for line in lines if "/stable-security " in line} == {"nanny-demo-tls"}


def test_an_upgrade_changes_the_packages_and_the_hash(running: Lab) -> None:
    root = running.guest(VMID).rootfs
    before = tree_hash(root, ("proc", "sys", "dev"))
    done = inside(
        running, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "install", "--only-upgrade", "nanny-demo-web"
    )
    assert done.exit_code == 0, done.stderr
    after = tree_hash(root, ("proc", "sys", "dev"))
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert "usr/share/nanny-demo-web/index.html" in changed
    assert "var/lib/dpkg/status" in changed
    shown = inside(running, "dpkg-query", "-W", "-f=${Package} ${Version}\\n", "nanny-demo-*").stdout.decode()
    versions = dict(line.split() for line in shown.splitlines())
    expected = {deb.name: deb.version for deb in INSTALLED} | {"nanny-demo-web": "1.1-1"}
    assert versions == expected


def test_a_further_package_can_be_offered(running: Lab) -> None:
    running.repository(VMID).add(Deb("nanny-demo-lib", "3.0-1", scripts={"postinst": "#!/bin/sh\nexit 7\n"}))
    assert inside(running, "apt-get", "update").exit_code == 0
    failed = inside(running, "apt-get", "-y", "install", "--only-upgrade", "nanny-demo-lib")
    assert failed.exit_code == 100
    assert b"installed nanny-demo-lib package post-installation script subprocess returned error exit status 7" in (
        failed.stdout + failed.stderr
    )


def test_two_containers_are_two(running: Lab) -> None:
    assert running.real_vmids() == [101, 102]
    other = run([str(running.nodes[1].bin_dir / "pct"), "exec", "102", "--", "hostname"], timeout=30)
    assert other.stdout == b"db1\n"
    assert pct(running, "exec", "102", "--", "true").exit_code == 2


def test_what_it_announces_is_json(running: Lab) -> None:
    said = json.loads(json.dumps(running.announcement()))
    assert said["real"] is True
    assert [guest["vmid"] for guest in said["guests"] if guest["behind"] == "container"] == [101, 102]


@pytest.mark.rows("PVE-31")
def test_a_snapshot_brings_its_files_back(running: Lab) -> None:
    running.cluster.storages["fast"] = Storage("fast", "btrfs", "/srv/fast")
    before = running.cluster.guests[VMID].conf["rootfs"]
    running.cluster.update(VMID, rootfs=f"fast:{VMID}/vm-{VMID}-disk-0.raw,size=4G")
    guest = api(running).nodes("pve1").lxc(VMID)
    try:
        inside(running, "sh", "-c", "echo before > /root/note; rm -f /root/new")
        ended(running, guest.snapshot.post(snapname="pre"))
        inside(running, "sh", "-c", "echo after > /root/note; touch /root/new; rm /etc/issue")
        ended(running, guest.snapshot("pre").rollback.post())
        assert guest.status.current.get()["status"] == "stopped"
        running.start(VMID)
        assert inside(running, "cat", "/root/note").stdout == b"before\n"
        assert inside(running, "sh", "-c", "test ! -e /root/new && test -e /etc/issue").exit_code == 0
        ended(running, guest.snapshot("pre").delete())
    finally:
        running.cluster.update(VMID, rootfs=before)


@pytest.mark.rows("PVE-33")
def test_a_backup_freezes_it_and_lets_it_go_on(running: Lab) -> None:
    node = api(running).nodes("pve1")
    lines = ended(running, node.vzdump.post(vmid=VMID, storage="local"))
    assert "INFO: backup mode: suspend" in lines
    assert lines.index("INFO: suspending guest") < lines.index("INFO: resuming guest")
    assert inside(running, "echo", "on").stdout == b"on\n"


def ended(lab: Lab, upid: str) -> list[str]:
    """Wait for a task that must end well and return its log."""
    task = lab.tasks.find("pve1", upid)
    assert task.ended.wait(120)
    assert task.exitstatus == "OK"
    return task.log()
