"""Write docs/lab-calls.md: what the lab answers, and what of it is held against recordings.

``./run docs`` writes it, ``./run lint`` checks with ``--check`` that it is as it would be written.
"""

import sys

from nanny_ops.lab.pve.api import INDEX_KEYS
from nanny_ops.lab.pve.routes import ROUTES
from nanny_ops.lab.pve.schema.table import table
from tests.house.tree import ROOT
from tests.integration.conformance.naming import RECORDED
from tests.integration.conformance.recording import recordings
from tests.integration.conformance.replay import endpoints

FILE = ROOT / "docs" / "lab-calls.md"
RELEASES = ("8.4", "9.2")
HEAD = """# What the lab answers

Written by `./run docs`. The numbers say how many recorded requests to real Proxmox VE 8.4.21 and 9.2.11 the lab answers
alike: same status, reason phrase, error texts and shape of the JSON, under the recorded names and under others, before
and after a change of state (`tests/integration/conformance`, all {recorded}, among them some of paths that do not
exist). A call without a number has not been recorded: it answers as the published schema says, and nobody has compared
it with a real one. Parameters, privileges, unknown paths and nodes are checked for every call of the schema, also for
those that are then answered 501: all that are not here, and those marked "refused".

Recorded were directory and btrfs storages and machines without KVM, but no Ceph, high availability, ZFS, S.M.A.R.T.,
replication or live migration: where a call with a number tells of those, what it tells is by the schema too.

| call | 8.4 | 9.2 |
|---|---|---|
"""


def render() -> str:
    """Return the whole page."""
    counts = [endpoints(release) for release in RELEASES]
    names = sorted(set(ROUTES) | {name for count in counts for name in count}, key=lambda name: name.split(" ")[::-1])
    rows = [f"| `{name}`{_mark(name)} | {' | '.join(str(count[name] or '') for count in counts)} |" for name in names]
    recorded = " and ".join(str(len(recordings(release, RECORDED))) for release in RELEASES)
    return HEAD.format(recorded=recorded) + "\n".join(rows) + "\n"


def _mark(name: str) -> str:
    """Return what is said of a call of which only refusals are answered; directories need no function of their own."""
    known = [called for release in RELEASES if (called := table(release).calls.get(name))]
    listed = not known or any(called.link in INDEX_KEYS for called in known)
    return "" if name in ROUTES or listed else " refused"


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` compare it; return the exit code."""
    if arguments != ["--check"]:
        FILE.write_text(render())
        return 0
    if FILE.exists() and FILE.read_text() == render():
        return 0
    print("docs/lab-calls.md is out of date; type ./run docs", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
