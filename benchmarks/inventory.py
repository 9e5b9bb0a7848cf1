"""What the inventory of a thousand guests with their facts costs: requests, the plugin's own time, the whole command.

The facts are those of a lab's guests, read as the agent reads them, each many times. The static inventory that it
is held against has the same hosts, groups and variables in one file, written as JSON, which Ansible reads fastest.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec

from benchmarks._figures import Figure, show
from benchmarks._plane import BIN, EMAIL, Enrolled, Plane, control_plane, enrol
from benchmarks.proxmox import Bench, lab
from nanny_ops.agent.collectors.proxmox import parts

GUESTS = 1000
#: Guests of the lab whose facts are multiplied.
FEW = 24
#: Runs of each command; the median counts.
RUNS = 5
#: Seconds one run may take.
PATIENCE = 120
OWN, RATIO = 0.15, 1.2
COLLECTIONS = Path(__file__).parent.parent / "ansible" / "collections"
#: Times the plugin itself in a process that has loaded everything: what Ansible does around it is not its own.
ALONE = """
import statistics, sys, time
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, inventory_loader
init_plugin_loader()
def once():
    plugin, data = inventory_loader.get("nanny.ops.fleet"), InventoryData()
    began = time.perf_counter()
    plugin.parse(data, DataLoader(), sys.argv[1], cache=False)
    assert len(data.hosts) > int(sys.argv[2])
    return time.perf_counter() - began
once()
print(statistics.median(once() for _ in range(int(sys.argv[3]))))
"""


def fill(plane: Plane, agent: Enrolled) -> None:
    """Let the agent tell of a thousand guests: those of a small lab again and again, with numbers of their own."""
    with lab(FEW) as said:
        values = Bench(said, slow=FEW * 2).cycle()[3].values
    told: dict[str, list[dict[str, Any]]] = {"lxc": [], "qemu": []}
    for number in range(GUESTS):
        kind = "lxc" if number % 3 else "qemu"
        body = values[kind][number % len(values[kind])]
        vmid = 1000 + number
        told[kind].append(
            {
                **body,
                "vmid": vmid,
                "name": f"{body['name']}-{number}",
                "template": False,
                f"{kind}_id": f"{kind}/{vmid}",
            }
        )
    vmids = list(range(1000, 1000 + GUESTS))
    whole = {**values, **told, "guests": vmids, "usage": [], "facts": []}
    headers = {"Authorization": f"Bearer {agent.token}"}
    with httpx.Client(base_url=plane.url, timeout=60, headers=headers) as http:
        for part in parts(whole, datetime.now(UTC).isoformat()):
            answer = http.post("/api/proxmox/inventory", content=msgspec.json.encode(part))
            if answer.is_error:
                raise SystemExit(f"the report was not taken: {answer.text[:1000]}")


def token(plane: Plane) -> str:
    """Return the admin's token."""
    answer = httpx.post(f"{plane.url}/api/auth/login", json={"email": EMAIL, "password": plane.password}, timeout=30)
    found: str = answer.raise_for_status().json()["access_token"]
    return found


def answered(plane: Plane) -> int:
    """Return how many requests with GET were answered so far, but for those that ask this."""
    lines = httpx.get(f"{plane.url}/metrics", timeout=30).text.splitlines()
    counts = [line for line in lines if line.startswith('nanny_http_requests_total{method="GET"')]
    return sum(int(float(line.rpartition(" ")[2])) for line in counts)


def run(environ: dict[str, str], *argv: str) -> tuple[float, str]:
    """Run a program of Ansible; return seconds and what it printed."""
    began = time.perf_counter()
    done = subprocess.run(
        [BIN / argv[0], *argv[1:]],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{argv[0]}: {done.stderr[-4000:]}")
    return time.perf_counter() - began, done.stdout


def static(listed: dict[str, Any]) -> dict[str, Any]:
    """Return what ``ansible-inventory --list`` printed as a static inventory."""
    known = listed.pop("_meta")["hostvars"]
    groups = {name: {"hosts": {key: {} for key in group.get("hosts", ())}} for name, group in listed.items()}
    groups.pop("all", None)
    return {"all": {"hosts": known, "children": groups}}


def plain(found: dict[str, Any]) -> Any:
    """Return a text that came from elsewhere, which Ansible marks so that it is never taken for a template."""
    return found.get("__ansible_unsafe", found)


def measure(plane: Plane, place: Path) -> list[Figure]:
    """Fill a control plane and ask it."""
    [agent] = enrol(plane, 1)
    fill(plane, agent)
    source, file = place / "nanny.yml", place / "static.yml"
    source.write_text(json.dumps({"plugin": "nanny.ops.fleet", "url": plane.url}))
    environ = {"NANNY_OPS_TOKEN": token(plane), "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)}
    before = answered(plane)
    _, listed = run(environ, "ansible-inventory", "-i", str(source), "--list")
    requests = answered(plane) - before - 1
    file.write_text(json.dumps(static(json.loads(listed, object_hook=plain))))
    alone = float(run(environ, Path(sys.executable).name, "-c", ALONE, str(source), str(GUESTS), str(RUNS))[1])
    ours, theirs = [], []
    for _ in range(RUNS):  # one after the other, so that both meet the same neighbours
        ours.append(run(environ, "ansible-inventory", "-i", str(source), "--list")[0])
        theirs.append(run(environ, "ansible-inventory", "-i", str(file), "--list")[0])
    whole, still = statistics.median(ours), statistics.median(theirs)
    return [
        Figure(f"requests for {GUESTS} guests", requests, "requests", 1),
        Figure("the plugin's own fetch and parse", alone, "s", OWN),
        Figure("ansible-inventory --list", whole, "s"),
        Figure("the same of a static file", still, "s"),
        Figure("ratio of the two", whole / still, "", RATIO),
    ]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./run bench inventory", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    with control_plane() as plane, tempfile.TemporaryDirectory(prefix="nanny-bench-") as place:
        return show(measure(plane, Path(place)), arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())
