"""Write the table of what is supported, and how that was tested, into docs/patching.md.

``./run support-table`` prints it, ``./run docs`` writes it, ``./run lint`` checks with ``--check`` that it is as it
would be written. What was proved stands in tests/recorded/support.json; ``./run test e2e -k patch`` compares
that with what it proves.
"""

import json
import sys
from pathlib import Path

from tests.house.tree import ROOT

FILE = ROOT / "docs" / "patching.md"
RECORD = ROOT / "tests" / "recorded" / "support.json"
BEGIN, END = "<!-- support: written by ./run docs -->\n", "<!-- end of support -->\n"

#: What os-release says on each distribution, and the script that takes it.
RELEASES = ROOT / "tests" / "recorded" / "os-release.json"

#: Distribution, its releases, its manager as the record names it, the script, and its names in os-release.
ROWS = (
    ("Debian", "11, 12, 13", "apt", "apt.sh", ("debian",)),
    ("Ubuntu", "20.04, 22.04, 24.04", "apt", "apt.sh", ("ubuntu",)),
    ("Alpine", "3.x", "apk", "apk.sh", ("alpine",)),
    ("Fedora", "up to 40", "dnf", "dnf.sh", ("fedora",)),
    ("Fedora", "from 41 on", "dnf5", "dnf.sh", ("fedora",)),
    (
        "RHEL, CentOS, AlmaLinux, Rocky Linux, Oracle Linux",
        "8, 9, 10",
        "dnf",
        "dnf.sh",
        (
            "rhel",
            "centos",
            "almalinux",
            "rocky",
            "ol",
        ),
    ),
    ("RHEL, CentOS, Oracle Linux", "7", "yum", "yum.sh", ("rhel", "centos", "ol")),
    ("openSUSE Leap, SUSE Linux Enterprise", "15, 16", "zypper", "zypper.sh", ("opensuse-leap", "sles")),
    ("openSUSE Tumbleweed, Slowroll", "rolling", "zypper", "zypper.sh", ("opensuse-tumbleweed", "opensuse-slowroll")),
    ("Arch Linux, Manjaro", "rolling", "pacman", "pacman.sh", ("arch", "manjaro")),
)


def render() -> str:
    """Return the table."""
    proofs = {one["manager"]: one for one in json.loads(RECORD.read_text())}
    lines = ["| distribution | releases | script | tested |", "|---|---|---|---|"]
    for name, releases, manager, script, _ in ROWS:
        lines.append(f"| {name} | {releases} | `{script}` | {_words(proofs[manager], name)} |")
    return "\n".join(lines) + "\n"


def _words(proof: dict[str, object], distribution: str) -> str:
    """Return how sure one may be; only what ran on the distribution itself is called tested on it."""
    places = proof["on"] if isinstance(proof["on"], list) else []
    mine = [place for place in places if str(place).startswith(distribution + " ")]
    told = f"{proof['manager']} {proof['version']}".strip()
    if proof["proof"] == "distribution" and mine:
        return "distribution tested"
    if proof["proof"] in {"distribution", "manager"}:
        return f"manager tested: {told} on {', '.join(str(place) for place in places)}; by os-release fixture"
    if proof["proof"] == "stand-in":
        return f"stand-in for {told} under busybox ash, and recorded output; by os-release fixture"
    return f"recorded output of {told}; by os-release fixture"


def written(page: str) -> str:
    """Return a page with the table in its place. Raises ValueError where it has none."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError("The page has no place for the table of support.")
    return head + BEGIN + render() + END + tail


def main(arguments: list[str], page: Path = FILE) -> int:
    """Print the table, write it with ``--write``, or compare with ``--check``; return an exit code."""
    text = page.read_text()
    if arguments == ["--check"]:
        if text == written(text):
            return 0
        sys.stderr.write("docs/patching.md is out of date; type ./run docs\n")
        return 1
    if arguments == ["--write"]:
        page.write_text(written(text))
    else:
        sys.stdout.write(render())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
