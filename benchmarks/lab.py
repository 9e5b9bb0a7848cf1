"""What a large lab costs: seconds to open, memory while it answers, and seconds of its slowest answers."""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from benchmarks._figures import Figure, show
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import ADMIN_TOKEN, Lab
from nanny_ops.lab.leftover import SCRATCH
from nanny_ops.machine.proxmox.client import Client
from nanny_ops.machine.verbs import ProxmoxAccess

NODES, GUESTS = 100, 1000
#: MiB that one process may take.
BUDGET = 300.0
#: Guests whose configuration is asked for, each at a node's own port.
ASKED = 200


def access(lab: Lab, node: int) -> ProxmoxAccess:
    """Return an administrator's way to one node."""
    secret = lab.tokens[ADMIN_TOKEN].secret
    url = lab.nodes[node].url
    return ProxmoxAccess(url=url, token=f"{ADMIN_TOKEN}={secret}", ca_file=str(lab.ca_file), timeout_seconds=60)


def answers(lab: Lab) -> tuple[float, float]:
    """Return the seconds for all resources at once, and for one configuration."""
    with Client(access(lab, 0)) as client:
        began = time.perf_counter()
        rows = client.get("cluster/resources", type="vm")
        resources = time.perf_counter() - began
    assert len(rows) == GUESTS, len(rows)
    guests = lab.cluster.list_guests()[:ASKED]
    began = time.perf_counter()
    for guest in guests:
        number = lab.cluster.nodes[guest.node].nodeid - 1
        with Client(access(lab, number)) as client:
            assert client.get(f"nodes/{guest.node}/{guest.kind}/{guest.vmid}/config")["digest"]
    return resources, (time.perf_counter() - began) / len(guests)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./run bench lab", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix=SCRATCH, ignore_cleanup_errors=True) as directory:
        began = time.perf_counter()
        with Lab(LabPlan(NODES, GUESTS, 0), Path(directory), cache=Path(directory) / "cache") as lab:
            opened = time.perf_counter() - began
            resources, config = answers(lab)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = [
        Figure(f"memory, {NODES} nodes, {GUESTS} guests", peak, "MiB", BUDGET),
        Figure("opening it", opened, "s"),
        Figure("all its guests in one answer", resources, "s"),
        Figure("one configuration, new connection", config, "s"),
    ]
    return show(figures, arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())
