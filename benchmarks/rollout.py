"""What it costs to enrol a fleet by the role nanny.ops.agent: seconds, and processor time of the controller.

Real nodes are machines (systemd, sshd) that get the package, settings, identity and units over SSH, until the control
plane has heard of each. Simulated ones are those of ``benchmarks/_nodes.py``: SSH, settings and the enrolment at the
control plane are real, the package is there already and no daemon is started, so nothing waits to be heard of. The
controller's processor time is that of ansible-playbook with all its workers and SSH clients; machines and control plane
share the cores with it, so that the seconds are more than a controller of its own would need.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx

from benchmarks import _nodes
from benchmarks._figures import Figure, show
from benchmarks._plane import BIN, EMAIL, Plane, control_plane
from nanny_ops.control.playbooks.descent import adopt_orphans
from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.systemd_machine import SystemdMachine
from release.package import build
from release.wheel import architecture
from tests.machines.tls_door import TlsDoor

COLLECTIONS = Path(__file__).parent.parent / "ansible" / "collections"
#: Most tasks that a host may have to do where nothing is to be done.
MOST_TASKS = 25
#: Seconds that connections are kept for the next task.
PERSIST = 10
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
PLAY = [{"hosts": "all", "gather_facts": False, "roles": [{"role": "nanny.ops.agent"}]}]


@dataclass(frozen=True)
class Run:
    """What a run of the role cost, in seconds, and what each host did."""

    seconds: float
    cpu: float
    tasks: Mapping[str, int]
    changed: int


@dataclass(frozen=True)
class Controller:
    """Where playbooks are run from."""

    place: Path
    environ: Mapping[str, str]
    package: Path
    forks: int

    @property
    def key(self) -> Path:
        """Return its SSH key."""
        return self.place / "key"

    def run(self, hosts: Mapping[str, Mapping[str, Any]]) -> Run:
        """Run the role at hosts and return what that cost. SystemExit where it fails."""
        (self.place / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
        (self.place / "book.json").write_text(json.dumps(PLAY))
        argv = [str(BIN / "ansible-playbook"), "--inventory", "hosts.json", "--forks", str(self.forks), "book.json"]
        with (self.place / "said").open("wb") as said:
            seconds, cpu, code = measured(argv, self.place, self.environ, said)
        text = (self.place / "said").read_text()
        found = {row[0]: [int(one) for one in row[1:]] for row in RECAP.findall(text)}
        if code or found.keys() != hosts.keys():
            raise SystemExit(text[-4000:])
        tasks = {name: row[0] for name, row in found.items()}
        return Run(seconds, cpu, tasks, sum(row[1] for row in found.values()))


def measured(argv: list[str], place: Path, environ: Mapping[str, str], said: IO[bytes]) -> tuple[float, float, int]:
    """Run a program; return its seconds, the processor time of all that it started, and its exit code.

    SSH clients that stay for the next task leave their parent: this process adopts and waits for them.
    """
    others, began = children(), time.monotonic()
    child = subprocess.Popen(argv, cwd=place, env=environ, stdout=said, stderr=said)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    seconds, cpu = time.monotonic() - began, usage.ru_utime + usage.ru_stime
    deadline = time.monotonic() + 3 * PERSIST
    while left := children() - others:
        if time.monotonic() > deadline:
            raise SystemExit(f"processes of Ansible stay: {sorted(left)}")
        for pid in left:
            with contextlib.suppress(ChildProcessError):
                ended, _, usage = os.wait4(pid, os.WNOHANG)
                cpu += (usage.ru_utime + usage.ru_stime) if ended else 0.0
        time.sleep(0.2)
    return seconds, cpu, child.returncode


def children() -> set[int]:
    """Return the processes whose parent this one is; what runs inside a machine has another."""
    return {int(one) for file in Path("/proc/self/task").glob("*/children") for one in file.read_text().split()}


def admit(machine: SystemdMachine, key: Path) -> None:
    """Have a machine let the controller in as root."""
    machine.must("mkdir", "-p", "-m", "700", "/root/.ssh")
    machine.put(key.with_suffix(".pub"), "/root/.ssh/authorized_keys")
    machine.must("chmod", "600", "/root/.ssh/authorized_keys")


def node(machine: SystemdMachine, door: TlsDoor, **more: Any) -> dict[str, Any]:
    """Return what Ansible is told of a node."""
    return {
        "ansible_host": machine.address,
        "agent_url": door.url,
        "agent_ca_certificate": door.ca_pem.decode(),
        **more,
    }


@contextlib.contextmanager
def machines(plane: Plane, place: Path, key: Path, count: int) -> Iterator[list[tuple[SystemdMachine, TlsDoor]]]:
    """Boot machines that let the controller in and reach the control plane."""
    image = machine_image(cache_dir(dict(os.environ)), "bookworm")
    port = int(plane.url.rpartition(":")[2])
    with contextlib.ExitStack() as stack:
        made = []
        for number in range(count):
            machine = stack.enter_context(SystemdMachine(image, place / f"m{number}", hostname=f"pve{number}"))
            admit(machine, key)
            made.append((machine, stack.enter_context(TlsDoor(machine.host_address, lambda: port))))
        yield made


def controller(plane: Plane, place: Path, forks: int) -> Controller:
    """Return a controller with a key, a package and a token of automation."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / "key"], check=True, timeout=60)
    login = {"email": EMAIL, "password": plane.password}
    with httpx.Client(base_url=plane.url, timeout=30) as client:
        person = client.post("/api/auth/login", json=login).raise_for_status().json()["access_token"]
        asked = {"name": "bench", "scopes": ["read", "enrol"]}
        headers = {"Authorization": f"Bearer {person}"}
        token = client.post("/api/tokens", json=asked, headers=headers).raise_for_status().json()["token"]
    known = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    environ = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(place),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_PRIVATE_KEY_FILE": str(place / "key"),
        "ANSIBLE_REMOTE_USER": "root",
        "ANSIBLE_SSH_ARGS": f"-C -o ControlMaster=auto -o ControlPersist={PERSIST} {known}",
        "NANNY_OPS_TOKEN": token,
        "NANNY_OPS_URL": plane.url,
    }
    package = build("9.0.0", 1_760_000_000, place, architecture())
    return Controller(place, environ, package, forks)


def trusted(plane: Plane, count: int, environ: Mapping[str, str]) -> None:
    """Make sure that so many agents are enrolled; SystemExit where they are not."""
    headers = {"Authorization": f"Bearer {environ['NANNY_OPS_TOKEN']}"}
    answer = httpx.get(f"{plane.url}/api/agents", params={"limit": 1}, headers=headers, timeout=30)
    found = answer.raise_for_status().json()["total"]
    if found != count:
        raise SystemExit(f"{found} agents are enrolled, and not {count}")


def measure(plane: Plane, place: Path, real: int, simulated: int, forks: int) -> list[Figure]:
    """Enrol the real nodes, then the simulated ones, then run once more where nothing is to be done."""
    own = controller(plane, place, forks)
    same = {"agent_package": str(own.package), "ansible_python_interpreter": "/usr/bin/python3"}
    with machines(plane, place, own.key, real + 1) as made:
        hosts = {one.hostname: node(one, door, **same) for one, door in made[:real]}
        few = own.run(hosts)
        crowd, door = made[real]
        ports = _nodes.settle(crowd, own.package, simulated, place)
        nodes = {f"node{port}": node(crowd, door, **same, ansible_port=port, agent_healthy_seconds=0) for port in ports}
        many = own.run(nodes)
        trusted(plane, real + simulated, own.environ)
        still, quiet = own.run(hosts), own.run(nodes)
    if still.changed or quiet.changed:
        raise SystemExit(f"a second run changed {still.changed} and {quiet.changed} things")
    return [
        Figure(f"enrol {real} real nodes", few.seconds, "s"),
        Figure("controller's CPU for them", few.cpu, "s"),
        Figure(f"enrol {simulated} simulated nodes", many.seconds, "s"),
        Figure("controller's CPU for them", many.cpu, "s"),
        Figure("controller's CPU for each of them", many.cpu / simulated, "s"),
        Figure("run of the simulated ones again", quiet.seconds, "s"),
        Figure("controller's CPU for that", quiet.cpu, "s"),
        Figure("tasks of a real host with nothing to do", max(still.tasks.values()), "tasks", MOST_TASKS),
    ]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./run bench rollout", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--real", type=int, default=3, help="machines that get the whole role")
    parser.add_argument("--simulated", type=int, default=100, help="nodes that are enrolled only")
    parser.add_argument("--forks", type=int, default=10, help="hosts at once")
    arguments = parser.parse_args()
    adopt_orphans()
    with control_plane() as plane, tempfile.TemporaryDirectory(prefix="nb-") as place:
        found = measure(plane, Path(place), arguments.real, arguments.simulated, arguments.forks)
        return show(found, arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())
