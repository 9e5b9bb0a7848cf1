"""``./run demo``: a control plane, a lab cluster and its agents, and a patch order carried out in a container.

Everything it starts and writes is gone when it ends, also after Ctrl-C.
"""

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import httpx

from nanny_ops.errors import MachineError, NannyError
from nanny_ops.lab import leftover, lxc
from nanny_ops.lab.child import Nursery, nursery, show
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.lab import Lab, LabNode
from nanny_ops.protocol.enrollment import USER_CODE_ALPHABET, USER_CODE_LENGTH
from nanny_ops.protocol.operation import ENDED

EMAIL = "admin@example.com"
#: What the owner of the nodes allows: without a word of theirs there would be dry runs only.
POLICY = 'operations = ["patch", "reboot", "prune", "investigation"]\n'
#: Seconds that each wait may take before the demo gives up and says where it was.
PATIENCE = 120
PLAN = LabPlan(nodes=3, guests=12, real=2)


@dataclass(frozen=True)
class Stage:
    """What the acts share: where the control plane is and how to speak to it as its admin."""

    home: Path
    url: str
    http: httpx.Client
    token: str
    password: str
    programs: Path

    @property
    def operator(self) -> dict[str, str]:
        """Return the environment in which ``nanny-ops`` finds this control plane."""
        return {**_clean(), "NANNY_URL": self.url, "NANNY_TOKEN": self.token, "PATH": _path(self.programs)}


def main(argv: Sequence[str] | None = None) -> int:
    """Play the demo; ``--once`` ends it after the result."""
    parser = argparse.ArgumentParser(prog="./run demo", description="See an order run in a container.")
    parser.add_argument("--once", action="store_true", help="End after the result.")
    parser.add_argument("--port", type=int, default=8000, help="Port of the control plane; the next free one if taken.")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    home = Path(tempfile.mkdtemp(prefix="nanny-demo-"))
    try:
        _play(home, once=options.once, port=options.port)
    except KeyboardInterrupt:
        print("\nEnding; everything the demo made is being removed.", flush=True)
    except (NannyError, httpx.HTTPError) as wrong:
        print(f"demo: {wrong}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return 0


def _play(home: Path, *, once: bool, port: int) -> None:
    programs = Path(sys.executable).parent
    leftover.purge(cache_dir(dict(os.environ)))
    with nursery(home) as children:
        _say("Starting the control plane (SQLite, one process)")
        stage = _control_plane(home, programs, children, port)
        with contextlib.closing(stage.http), Lab(_plan(), home) as lab:
            _introduce(lab)
            _enrol(stage, lab, children)
            _await_guests(stage, lab)
            _show_fleet(stage)
            vmid = min(lab.real_vmids() or [guest.vmid for guest in lab.cluster.list_guests(kind="lxc")])
            for mode in ("dry-run", "apply"):
                _order(stage, vmid, mode)
            _say(f"Container {vmid} has no updates left; nanny-ops knows every package that changed")
            if not once:
                _stay(stage, vmid, children)


def _plan() -> LabPlan:
    missing = lxc.missing()
    if not missing:
        return PLAN
    _say("Real containers are not possible here, the guests are SIMULATED: " + " ".join(missing))
    return LabPlan(nodes=PLAN.nodes, guests=PLAN.guests, real=0)


def _control_plane(home: Path, programs: Path, children: Nursery, port: int) -> Stage:
    password = secrets.token_urlsafe(12)
    environ = {**_clean(), "NANNY_DATA_DIR": str(home / "control")}
    secret = home / "password"
    secret.write_text(password + "\n")
    add = [str(programs / "nanny-ops"), "user", "add", "--email", EMAIL, "--role", "admin", "--password-stdin"]
    made = children.start("user-add", add, environ, secret)
    made.await_end(PATIENCE)
    children.forget(made)
    server = children.start(
        "control-plane", [str(programs / "nanny-ops"), "serve", "--port", str(_free(port))], environ
    )
    line = server.await_words("nanny-ops listens on", PATIENCE)
    url = f"http://127.0.0.1:{line.split()[-1]}"
    server.await_words("ready", PATIENCE)
    http = httpx.Client(base_url=url, timeout=20)
    answer = http.post("/api/auth/login", json={"email": EMAIL, "password": password}).raise_for_status()
    token = answer.json()["access_token"]
    http.headers["Authorization"] = f"Bearer {token}"
    return Stage(home, url, http, token, password, programs)


def _introduce(lab: Lab) -> None:
    real = lab.real_vmids()
    guests = lab.cluster.list_guests()
    kinds = f"real containers {', '.join(map(str, real))}, the others simulated" if real else "all simulated"
    _say(f"The lab's Proxmox VE {lab.plan.version} is up: {len(lab.nodes)} nodes, {len(guests)} guests ({kinds})")


def _enrol(stage: Stage, lab: Lab, children: Nursery) -> None:
    """Bring one agent per node through the device flow and start it."""
    _say("Enrolling one agent per node by the device flow: a code is shown, the admin allows it")
    token_file = stage.home / "pve-token"
    token_file.write_text(f"{lab.token_id}={lab.token_secret}\n")
    token_file.chmod(0o600)
    program = str(stage.programs / "nanny-agent")
    environs = {node.name: _agent_environ(stage, lab, node, token_file) for node in lab.nodes}
    polling = {
        name: children.start(f"register-{name}", [program, "register", "--name", name], environ)
        for name, environ in environs.items()
    }
    for name, child in polling.items():
        child.await_words("The code is good", PATIENCE)
        code = _user_code(child.said())
        stage.http.post("/api/auth", json={"action": "authorize", "user_code": code}).raise_for_status()
        print(f"     {name}: code {code} allowed", flush=True)
    for name, child in polling.items():
        child.await_end(PATIENCE)
        children.forget(child)
        children.start(f"agent-{name}", [program, "run"], environs[name])


def _agent_environ(stage: Stage, lab: Lab, node: LabNode, token_file: Path) -> dict[str, str]:
    policy = stage.home / "policy.toml"
    policy.write_text(POLICY)
    return {
        **_clean(),
        "NANNYAPI_URL": stage.url,
        "NANNY_AGENT_STATE_DIR": str(stage.home / f"agent-{node.name}"),
        "NANNY_AGENT_PVE_URL": node.url,
        "NANNY_AGENT_PVE_TOKEN_FILE": str(token_file),
        "NANNY_AGENT_PVE_CA_FILE": str(lab.ca_file),
        "NANNY_AGENT_POLICY_FILE": str(policy),
        "PATH": _path(node.bin_dir, stage.programs),
    }


def _user_code(said: str) -> str:
    for word in said.split():
        if len(word) == USER_CODE_LENGTH and set(word) <= set(USER_CODE_ALPHABET):
            return word
    raise MachineError(f"no user code was shown:\n{said}")


def _await_guests(stage: Stage, lab: Lab) -> None:
    _say("Waiting until the agents have reported their nodes and guests")
    wanted = {guest.vmid for guest in lab.cluster.list_guests()}
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        seen = {guest["vmid"] for guest in _items(stage, "/api/proxmox/guests")}
        if wanted <= seen:
            return
        time.sleep(0.3)
    raise MachineError(f"guests never reported: {sorted(wanted - seen)}")


def _show_fleet(stage: Stage) -> None:
    for noun in ("node", "guest"):
        print(f"\n$ nanny-ops {noun} list", flush=True)
        show([str(stage.programs / "nanny-ops"), noun, "list"], stage.operator, PATIENCE)


def _order(stage: Stage, vmid: int, mode: str) -> None:
    words = ["patch", "run", "--guest", str(vmid), f"--{mode}", "--watch"]
    print(f"\n$ nanny-ops {' '.join(words)}", flush=True)
    code = show([str(stage.programs / "nanny-ops"), *words], stage.operator, 3 * PATIENCE)
    newest = _items(stage, "/api/patches")[0]
    if code or newest["status"] not in ENDED or newest["outcome"] not in {"ok", "nothing_to_do"}:
        raise MachineError(f"the {mode} did not end well: {newest['status']}, {newest['outcome']}: {newest['reason']}")


def _stay(stage: Stage, vmid: int, children: Nursery) -> None:
    print(
        f"""
The demo stays up until Ctrl-C.

  address   {stage.url}
  API       {stage.url}/openapi.json
  login     {EMAIL}
  password  {stage.password}

Try in another terminal:

  export PATH={stage.programs}:$PATH NANNY_URL={stage.url}
  nanny-ops login --email {EMAIL}
  nanny-ops agent list
  nanny-ops guest list
  nanny-ops patch list
  nanny-ops patch run --guest {vmid} --dry-run --watch
  curl -s {stage.url}/health
""",
        flush=True,
    )
    while (dead := children.first_dead()) is None:
        time.sleep(1)
    raise MachineError(f"{dead.name} has ended; it said:\n{dead.said()[-2000:]}")


def _items(stage: Stage, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = stage.http.get(path, params={"limit": 500}).raise_for_status().json()["items"]
    return items


def _free(port: int) -> int:
    for candidate in range(port, port + 50):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", candidate)):
                return candidate
    return 0


def _clean() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("NANNY_", "NANNYAPI_"))}


def _path(*first: Path) -> str:
    return os.pathsep.join([*map(str, first), os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")])


def _say(text: str) -> None:
    print(f"\n==== {text}", flush=True)


def _interrupt(*_signal: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
